/** Functions of a physical function: `ens1f0`, all of them, or `ens1f0#0,2-7`, those with these numbers. */
export interface FunctionSet {
  /** interface, or PCI address */
  readonly root: string;
  /** both ends are in it; undefined: all, those whose number is not known too */
  readonly ranges: readonly (readonly [first: number, last: number])[] | undefined;
}

/**
 * Reads `NAME` or `NAME#ITEM,…`, where an item is `N` or `A-B`.
 *
 * @param key for messages
 * @throws Error when it is none: nobody would notice that it selects nothing
 */
export function parseFunctionSet(text: string, key: string): FunctionSet {
  const [root = '', items, ...rest] = text.split('#');
  if (root === '' || rest.length > 0) {
    throw new Error(`cannot use "${key}" ${JSON.stringify(text)}: it is not NAME or NAME#0,2-7`);
  }
  return { root, ranges: items?.split(',').map((item) => rangeIn(item, text, key)) };
}

function rangeIn(item: string, text: string, key: string): readonly [number, number] {
  const [, first = '', last = first] = /^(\d+)(?:-(\d+))?$/.exec(item) ?? [];
  if (first === '' || Number(first) > Number(last)) {
    throw new Error(
      `cannot use "${key}" ${JSON.stringify(text)}: ${JSON.stringify(item)} is neither a number nor a range such as 2-7`,
    );
  }
  return [Number(first), Number(last)];
}

/**
 * Whether a function is in one of the sets.
 *
 * @param root interface or address of its physical function; '' when there is none, or it is not known
 * @param number undefined: not known
 */
export function isInSets(sets: readonly FunctionSet[], root: string, number: number | undefined): boolean {
  return sets.some(
    (set) =>
      set.root.toLowerCase() === root.toLowerCase() &&
      (set.ranges === undefined ||
        (number !== undefined && set.ranges.some(([first, last]) => first <= number && number <= last))),
  );
}
