/** Like `map`, one item after another: exchanges with the kernel are ordered. */
export async function mapInTurn<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  for (const item of items) {
    results.push(await work(item));
  }
  return results;
}

/** Like `flatMap`, one item after another. */
export const flatMapInTurn = async <T, R>(
  items: readonly T[],
  work: (item: T) => Promise<readonly R[]>,
): Promise<readonly R[]> => (await mapInTurn(items, work)).flat();
