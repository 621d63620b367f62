// Opens the status page in Chromium at two widths, light and dark; writes a picture of each and says
// what it found as JSON. Arguments: the page's address, Chromium's program, the pictures' folder.
import { chromium } from "playwright-core";

const [url, executablePath, folder] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});
const found = [];
for (const [name, width, height] of [["wide", 1280, 900], ["narrow", 390, 844]]) {
  for (const colorScheme of ["light", "dark"]) {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme });
    const page = await context.newPage();
    const errors = [], hosts = new Set();
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    page.on("pageerror", (error) => errors.push(String(error)));
    page.on("request", (request) => {
      if (!request.url().startsWith("data:")) hosts.add(new URL(request.url()).host);
    });
    page.on("requestfailed", (request) => errors.push(`failed: ${request.url()}`));
    await page.goto(url);
    await page.waitForSelector("body[data-loaded=yes]");
    // Once more, so that there is a second sample to draw.
    await page.waitForFunction(() => document.querySelectorAll("#chart rect").length > 0);
    const seen = await page.evaluate(() => {
      const luminance = (color) => {
        const [r, g, b] = color.match(/\d+/g).slice(0, 3).map((part) => {
          const share = part / 255;
          return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const background = (element) => {
        for (let at = element; at; at = at.parentElement) {
          const color = getComputedStyle(at).backgroundColor;
          if (!/^rgba\(.*, 0\)$/.test(color)) return color;
        }
        return "rgb(255, 255, 255)";
      };
      let contrast = 21, lowest = "";
      for (const element of document.querySelectorAll("main *, header *")) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!own || element.closest("svg")) continue;
        const [a, b] = [getComputedStyle(element).color, background(element)].map(luminance);
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < contrast) [contrast, lowest] = [ratio, element.textContent.slice(0, 40)];
      }
      const text = (id) => document.getElementById(id).innerText;
      return {
        mode: text("mode"), ready: text("ready"), verdict: text("verdict"), tiles: text("tiles"),
        statements: text("statements"), tables: text("tables"), rules: text("rules"),
        config: text("config"), rollouts: text("rollouts"),
        shapes: document.querySelectorAll(".shape").length,
        images: document.querySelectorAll("img, iframe").length,
        overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        columns: getComputedStyle(document.querySelector(".grid")).gridTemplateColumns.split(" ").length,
        dark: luminance(getComputedStyle(document.body).backgroundColor) < 0.2,
        contrast, lowest,
      };
    });
    const picture = `${folder}/status-${name}-${colorScheme}.png`;
    await page.screenshot({ path: picture, fullPage: true });
    found.push({ name, colorScheme, picture, errors, hosts: [...hosts], ...seen });
    await context.close();
  }
}
await browser.close();
console.log(JSON.stringify(found));
