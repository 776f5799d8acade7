/** Does each of them, so many at once; answers what came of them, in order. */
export async function inTurns<T>(
  items: readonly number[],
  width: number,
  each: (item: number) => Promise<T>,
): Promise<T[]> {
  const out: T[] = [];
  let next = 0;
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (next < items.length) {
        const at = next;
        next += 1;
        out[at] = await each(items[at]!);
      }
    }),
  );
  return out;
}
