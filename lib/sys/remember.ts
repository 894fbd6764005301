/** Texts of each generation; a node has some dozens of networks. */
const MOST = 64;
/** Longer texts are hardly ever the same again. */
const LONGEST = 64 * 1024;

/**
 * The same function of a text, which remembers what it has made of those that came lately. For pure functions whose
 * results nobody changes. What was thrown is not remembered.
 */
export function rememberingTexts<T extends object>(work: (text: string) => T): (text: string) => T {
  let young = new Map<string, T>();
  let old = new Map<string, T>();
  return (text) => {
    const known = young.get(text);
    if (known !== undefined) {
      return known;
    }
    const made = old.get(text) ?? work(text);
    if (text.length <= LONGEST) {
      if (young.size >= MOST) {
        old = young; // those that are asked for again come back
        young = new Map();
      }
      young.set(text, made);
    }
    return made;
  };
}

/** The same function of an object, which makes its result once, for as long as the object lives. */
export function remembering<K extends object, T extends object>(work: (key: K) => T): (key: K) => T {
  const known = new WeakMap<K, T>();
  return (key) => {
    const found = known.get(key);
    if (found !== undefined) {
      return found;
    }
    const made = work(key);
    known.set(key, made);
    return made;
  };
}
