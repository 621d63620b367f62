#!/usr/bin/env python3
"""Measures the guard beside a bare relay and PgBouncer, all in front of one PostgreSQL.

Starts a throwaway PostgreSQL, then for each round a bare relay (`peers bare`), the guard and
PgBouncer in session pooling in rotating order, each anew: on which core the kernel puts a process
is decided at its start, and is not to pass for its speed. Runs pgbench and psql through each of
them, leaves out pgbench's first second, and prints medians over the rounds: the ratio of each
target's throughput to another's with a 95 % interval, latency, and CPU time per transaction.
`--tls` puts TLS on the clients' leg of guard and PgBouncer and compares these two. `--idle`
measures memory for each idle session instead, `--churn` memory after sessions that came and went.
docs/performance.md has what it printed last and what it means.

    cargo build --release && cargo build --release --example peers
    python3 benches/compare/compare.py --rounds 9 --json target/compare.json

Needs PostgreSQL's programs and pgbench (Debian: postgresql), openssl, pgbouncer, and a quiet machine.
"""

import argparse
import contextlib
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TENANT = "00000000-0000-0000-0000-000000000007"
TARGETS = ("direct", "bare", "guard", "pgbouncer")
# Seconds of transactions before those that are measured. Most of the thousand texts have come
# then, and the server processes, which are new for each run, have filled their caches.
LEAD = 1
# Seconds between two looks at the CPU time of what is measured.
LOOK = 0.05
BULK = ("bulk-select", "copy-out", "copy-in")

JOIN = """SELECT o.id, o.qty, p.name, p.price FROM org_orders o
 JOIN org_products p ON p.id = o.product_id AND p.organization_id = o.organization_id
 WHERE o.organization_id = '{tenant}' AND o.deleted_at IS NULL
 AND p.organization_id = '{tenant}' AND p.deleted_at IS NULL AND o.id = {id}{more};
"""

# pgbench scripts. In `join` a thousand texts come again and again; in `literals` none comes twice.
SCRIPTS = {
    "select": "\\set id random(1, 1000)\nSELECT note FROM notes WHERE id = :id;\n",
    "join": "\\set id random(1, 1000)\n" + JOIN.format(tenant=TENANT, id=":id", more=""),
    "literals": "\\set id random(1, 1000)\n\\set other random(1000000, 2000000000)\n"
    + JOIN.format(tenant=TENANT, id=":id", more=" AND o.qty <> :other"),
}

CERTIFICATE = """
[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
CN = 127.0.0.1
[extensions]
subjectAltName = IP:127.0.0.1
"""

SCHEMA = """
CREATE TABLE notes (id int PRIMARY KEY, note text NOT NULL);
INSERT INTO notes SELECT i, 'note ' || i FROM generate_series(1, 1000) i;
CREATE TABLE org_products (organization_id uuid NOT NULL, id int NOT NULL, name text NOT NULL,
  price int NOT NULL, deleted_at timestamptz, PRIMARY KEY (organization_id, id));
CREATE TABLE org_orders (organization_id uuid NOT NULL, id int NOT NULL, product_id int NOT NULL,
  qty int NOT NULL, deleted_at timestamptz, PRIMARY KEY (organization_id, id));
INSERT INTO org_products SELECT ('00000000-0000-0000-0000-' || lpad(o::text, 12, '0'))::uuid, i,
  'product ' || i, i % 97, CASE WHEN i % 20 = 0 THEN now() END
  FROM generate_series(1, 20) o, generate_series(1, 1000) i;
INSERT INTO org_orders SELECT ('00000000-0000-0000-0000-' || lpad(o::text, 12, '0'))::uuid, i,
  1 + i % 1000, i % 7, NULL FROM generate_series(1, 20) o, generate_series(1, 1000) i;
CREATE UNLOGGED TABLE bulk_in (a text, b text);
VACUUM ANALYZE;
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for(port):
    for _ in range(200):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.05)
    sys.exit(f"nothing listens on port {port}")


def cpu_seconds(pid):
    """CPU time of all threads of a process that runs."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def children_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def rss_kib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))


def quantile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def interval(values):
    """A 95 % interval of the median, by the bootstrap."""
    draw = random.Random(0)
    medians = sorted(
        statistics.median(draw.choices(values, k=len(values))) for _ in range(2000)
    )
    return medians[50], medians[1949]


class Place:
    """Everything that is started, in one temporary directory; stopped at the end."""

    def __init__(self, options):
        self.options = options
        self.stack = contextlib.ExitStack()
        self.directory = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.directory.chmod(0o755)
        self.ports = {}
        self.pids = {}

    def start(self, name, command, port, **more):
        log = open(self.directory / f"{name}.log", "wb")
        # Each in a session of its own, as a service is: the kernel gives sessions their share of
        # time (autogroup, sched(7)), and the one of pgbench is not theirs.
        process = subprocess.Popen(
            command, stdout=log, stderr=log, start_new_session=True, **more
        )
        self.stack.callback(self.stop, process)
        wait_for(port)
        self.ports[name], self.pids[name] = port, process.pid
        return process

    @staticmethod
    def stop(process):
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def postgres(self):
        data, port, programs = self.directory / "data", free_port(), self.options.pg_bin
        data.mkdir()
        # PostgreSQL does not run as root.
        owner = {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}
        if owner:
            shutil.chown(data, **owner)
        initdb = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N"]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd="/", **owner)
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "shared_buffers": "256MB",
            "max_connections": 200,
        }
        words = [word for pair in settings.items() for word in ("-c", "{}={}".format(*pair))]
        command = [programs / "postgres", "-D", data, *words]
        self.start("direct", command, port, cwd="/", **owner)
        self.psql(port, SCHEMA)

    def psql(self, port, text):
        for _ in range(100):
            command = [self.options.pg_bin / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1"]
            done = subprocess.run(
                command, env=self.environment(port), input=text, text=True, capture_output=True
            )
            if "starting up" not in done.stderr:
                break
            time.sleep(0.1)
        if done.returncode:
            sys.exit(done.stderr)

    @contextlib.contextmanager
    def target(self, name, certificate):
        """A target of this name, for one round."""
        if name == "direct":
            yield
            return
        if name == "bare":
            process = self.bare()
        elif name == "pgbouncer":
            process = self.pgbouncer(certificate)
        else:
            process = self.guard(self.ports["direct"], certificate, name=name)
        yield
        self.stop(process)

    def bare(self):
        port = free_port()
        upstream = f"127.0.0.1:{self.ports['direct']}"
        return self.start("bare", [self.options.peers, "bare", f"127.0.0.1:{port}", upstream], port)

    def guard(self, upstream, certificate=None, name="guard"):
        port = free_port()
        lines = []
        if name != "guard":
            lines.append(f"threads = {name.removeprefix('guard-')}")
        lines += [
            f'mode = "{self.options.mode}"',
            f'listen = "127.0.0.1:{port}"',
            f'upstream = "127.0.0.1:{upstream}"',
            "[guard]",
            'tables = ["org_*"]',
            'tenant_column = "organization_id"',
            'tenant_type = "uuid"',
            'soft_delete_column = "deleted_at"',
            "[tenant]",
            'setting = "app.organization_id"',
            "[limits]",
            "connections = 20000",
        ]
        if certificate:
            lines += ["[client_tls]"]
            lines += [f'certificate = "{certificate / "server.crt"}"']
            lines += [f'key = "{certificate / "server.key"}"']
        file = self.directory / f"{name}.toml"
        file.write_text("\n".join(lines) + "\n")
        environment = dict(os.environ, RUST_LOG="error")
        command = [self.options.guard, "serve", "--config", file]
        return self.start(name, command, port, env=environment)

    def certificate(self):
        """A certificate for 127.0.0.1 and its key."""
        command = ["openssl", "req", "-x509", "-config", "/dev/stdin", "-nodes"]
        command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        command += ["-keyout", self.directory / "server.key", "-out", self.directory / "server.crt"]
        subprocess.run(command, input=CERTIFICATE, text=True, check=True, capture_output=True)
        # PgBouncer reads it as another user.
        (self.directory / "server.key").chmod(0o644)

    def pgbouncer(self, certificate=None):
        port = free_port()
        tls = ""
        if certificate:
            tls = (
                "client_tls_sslmode = require\n"
                f"client_tls_key_file = {certificate / 'server.key'}\n"
                f"client_tls_cert_file = {certificate / 'server.crt'}\n"
            )
        file = self.directory / "pgbouncer.ini"
        file.write_text(
            "[databases]\n"
            f"postgres = host=127.0.0.1 port={self.ports['direct']} user=postgres\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            "auth_type = any\npool_mode = session\nmax_client_conn = 1000\n"
            "default_pool_size = 100\nignore_startup_parameters = extra_float_digits,options\n"
            "server_reset_query =\nlog_connections = 0\nlog_disconnections = 0\n" + tls
        )
        file.chmod(0o644)
        command = [self.options.pgbouncer, file]
        if os.getuid() == 0:
            command = [self.options.pgbouncer, "-u", "nobody", file]
        return self.start("pgbouncer", command, port)

    def environment(self, port):
        direct = port == self.ports["direct"]
        return dict(
            os.environ,
            PGHOST="127.0.0.1",
            PGPORT=str(port),
            PGUSER="postgres",
            PGDATABASE="postgres",
            PGSSLMODE="require" if self.options.tls and not direct else "disable",
            PGGSSENCMODE="disable",
            PGOPTIONS=f"-c app.organization_id={TENANT}",
        )


def pgbench(place, target, workload, protocol, clients):
    """One round of pgbench through a target."""
    options = place.options
    script = place.directory / f"{workload}.sql"
    script.write_text(SCRIPTS[workload])
    logs = pathlib.Path(tempfile.mkdtemp(dir=place.directory))
    command = [
        options.pg_bin / "pgbench", "-n", "-T", str(LEAD + options.duration), "-c", str(clients),
        "-j", str(min(clients, 2)), "-M", protocol, "-f", script,
        "-l", "--log-prefix", str(logs / "l"),
    ]  # fmt: skip
    environment = place.environment(place.ports[target])
    output = place.directory / "pgbench.out"
    looks = []
    with output.open("w") as out:
        running = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        while running.poll() is None:
            looks.append((time.time(), cpu_seconds(place.pids[target])))
            time.sleep(LOOK)
    # Of each transaction its latency, and the time of its end.
    lines = [line.split() for file in logs.iterdir() for line in file.open() if line.strip()]
    shutil.rmtree(logs)
    if running.returncode or not lines:
        sys.exit(f"pgbench through {target}: {output.read_text().strip()[-300:]}")
    return measured(looks, [(int(line[4]) + int(line[5]) / 1e6, int(line[2])) for line in lines])


def measured(looks, transactions):
    """Rate, latencies and CPU time of a transaction, from LEAD after the first of them to the last.
    pgbench begins when all its sessions have logged in."""
    first, last = min(transactions)[0], max(transactions)[0]
    looks = [look for look in looks if first + LEAD <= look[0] <= last]
    (since, before), (until, after) = looks[0], looks[-1]
    latencies = [latency for end, latency in transactions if since < end <= until]
    return {
        "rate": len(latencies) / (until - since),
        "p50": quantile(latencies, 0.5),
        "p95": quantile(latencies, 0.95),
        "p99": quantile(latencies, 0.99),
        "cpu": (after - before) / len(latencies) * 1e6,
    }


def bulk(place, target, workload):
    """One round of moving rows in bulk through a target; rates and CPU are for each MB."""
    rows = place.options.bulk_mb * (1 << 20) // 128
    query = f"SELECT g, repeat('x', 112) FROM generate_series(1, {rows}) g"
    source = place.directory / "copy.tsv"
    if workload == "copy-in" and not source.exists():
        with source.open("w") as file:
            file.writelines(f"{i:014d}\t{'x' * 112}\n" for i in range(rows))
    command = [place.options.pg_bin / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null"]
    command += {
        "bulk-select": ["-c", query],
        "copy-out": ["-c", f"COPY ({query}) TO STDOUT"],
        "copy-in": ["-c", f"\\copy bulk_in FROM '{source}'"],
    }[workload]
    place.psql(place.ports["direct"], "TRUNCATE bulk_in")
    before, start = cpu_seconds(place.pids[target]), time.monotonic()
    done = subprocess.run(
        command, env=place.environment(place.ports[target]), capture_output=True, text=True
    )
    took = time.monotonic() - start
    used = cpu_seconds(place.pids[target]) - before
    if done.returncode:
        sys.exit(f"psql through {target}: {done.stderr.strip()[-300:]}")
    size = place.options.bulk_mb
    return {"rate": size / took, "p50": took * 1e6, "cpu": used / size * 1e6}


def compare(place):
    options = place.options
    place.postgres()
    certificate = None
    if options.tls:
        place.certificate()
        certificate = place.directory
    results = {}
    for workload in options.workloads:
        cells = [("-", 1)]
        if workload not in BULK:
            cells = [(p, c) for p in options.protocols for c in options.clients]
        for protocol, clients in cells:
            rounds = []
            for number in range(options.rounds):
                turn = number % len(options.targets)
                row = {}
                for target in options.targets[turn:] + options.targets[:turn]:
                    with place.target(target, certificate):
                        row[target] = (
                            bulk(place, target, workload)
                            if workload in BULK
                            else pgbench(place, target, workload, protocol, clients)
                        )
                rounds.append(row)
            results[f"{workload} {protocol} c={clients}"] = rounds
            draw(f"{workload} {protocol} c={clients}", rounds, options.targets)
            if options.json:
                options.json.write_text(json.dumps(results))


def draw(title, rounds, targets):
    """Medians; ratios of the guard to the others with their intervals."""
    unit = "MB" if title.split()[0] in BULK else "tx"
    print(f"\n{title}, {len(rounds)} rounds", flush=True)
    for target in targets:
        own = [row[target] for row in rounds]
        median = {key: statistics.median(one[key] for one in own) for key in own[0]}
        text = f"  {target:<10} {median['rate']:>9.0f} {unit}/s  cpu {median['cpu']:>7.1f} us/{unit}"
        if "p99" in median:
            text += "  p50 {p50:.0f}  p95 {p95:.0f}  p99 {p99:.0f} us".format(**median)
        if "guard" in targets and target != "guard":
            for what, key in (("rate", "rate"), ("cpu", "cpu")):
                if target == "direct" and key == "cpu":
                    continue
                ratios = [row["guard"][key] / row[target][key] for row in rounds]
                low, high = interval(ratios)
                middle = statistics.median(ratios)
                text += f"  {what} guard/{target} {middle:.3f} [{low:.3f}, {high:.3f}]"
            added = [row["guard"]["p50"] - row[target]["p50"] for row in rounds]
            low, high = interval(added)
            if unit == "tx":
                text += f"  p50 {statistics.median(added):+.0f} [{low:+.0f}, {high:+.0f}] us"
        print(text, flush=True)


def idle(place):
    """Memory of the guard for each session that says nothing."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    port = free_port()
    place.start("backend", [place.options.peers, "backend", f"127.0.0.1:{port}"], port)
    place.certificate()
    results = {}
    for name, certificate in (("plain", None), ("tls", place.directory)):
        place.guard(port, certificate)
        address = f"127.0.0.1:{place.ports['guard']}"
        words = [str(place.directory / "server.crt")] if certificate else []
        count = place.options.sessions
        before = None
        # A first lot fills what threads and the allocator keep whatever happens.
        for sessions in (100, count):
            command = [place.options.peers, "idle", address, str(sessions), *words]
            with subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            ) as held:
                if held.stdout.readline().strip() != "ready":
                    sys.exit("sessions could not be opened")
                time.sleep(1)
                now = rss_kib(place.pids["guard"])
                if before is not None:
                    results[name] = (now - before) / (sessions - 100)
                before = now
        print(f"{name}: {results[name]:.2f} KiB for each of {count} idle sessions", flush=True)
    return results


def churn(place):
    """Memory after thousands of sessions that came and went."""
    port = free_port()
    place.start("backend", [place.options.peers, "backend", f"127.0.0.1:{port}"], port)
    place.guard(port)
    address = f"127.0.0.1:{place.ports['guard']}"
    sizes = []
    for _ in range(6):
        command = [place.options.peers, "churn", address, str(place.options.sessions // 5)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        sizes.append(rss_kib(place.pids["guard"]))
        print(f"{len(sizes) * (place.options.sessions // 5)} sessions: {sizes[-1]} KiB", flush=True)
    return sizes


def words(text):
    return text.split(",")


def parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    target = ROOT / "target" / "release"
    parser.add_argument("--guard", type=pathlib.Path, default=target / "orgguard")
    parser.add_argument("--peers", type=pathlib.Path, default=target / "examples" / "peers")
    parser.add_argument("--pgbouncer", default="/usr/sbin/pgbouncer")
    parser.add_argument(
        "--pg-bin",
        type=pathlib.Path,
        default=os.environ.get("ORGGUARD_PG_BIN", "/usr/lib/postgresql/15/bin"),
    )
    parser.add_argument("--mode", default="enforce", choices=["audit", "enforce", "rewrite"])
    parser.add_argument(
        "--targets", type=words, help="of " + ", ".join(TARGETS) + "; guard-N has N threads"
    )
    parser.add_argument("--tls", action="store_true", help="clients speak TLS")
    parser.add_argument("--workloads", type=words, default=["select", "join"])
    parser.add_argument("--protocols", type=words, default=["simple", "extended", "prepared"])
    parser.add_argument(
        "--clients", type=lambda text: [int(word) for word in words(text)], default=[1, 8, 32]
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--duration", type=int, default=3, help="seconds measured in a round")
    parser.add_argument("--bulk-mb", type=int, default=100)
    parser.add_argument("--sessions", type=int, default=5000, help="for --idle and --churn")
    parser.add_argument("--idle", action="store_true")
    parser.add_argument("--churn", action="store_true")
    parser.add_argument("--json", type=pathlib.Path, help="where to write every round")
    return parser


def main():
    options = parser().parse_args()
    # A bare relay ends no TLS.
    options.targets = options.targets or [
        name for name in TARGETS if not options.tls or name in ("guard", "pgbouncer")
    ]
    # A shell ignores it for what it starts in the background, and all that is started here with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    place = Place(options)
    with place.stack:
        if options.idle or options.churn:
            (idle if options.idle else churn)(place)
        else:
            compare(place)


if __name__ == "__main__":
    main()
