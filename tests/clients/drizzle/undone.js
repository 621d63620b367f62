/** Thrown to roll a transaction back without losing what it found. */
class Undo extends Error {}

/** Runs `work(tx)` in a transaction (a savepoint, inside one), rolls it back and gives the result. */
export const undone = (work) => async ({ db }) => {
  let result;
  try {
    await db.transaction(async (tx) => {
      result = await work(tx);
      throw new Undo();
    });
  } catch (error) {
    if (!(error instanceof Undo)) throw error;
  }
  return result;
};
