/** The depth limit of Go's `encoding/json`: each side can read what the other wrote. */
export const MAX_DEPTH = 10_000;

const [QUOTE, BACKSLASH, COLON, COMMA] = [0x22, 0x5c, 0x3a, 0x2c];
const [OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [0x5b, 0x5d, 0x7b, 0x7d];

/** What is wrong with the depth of a JSON text: a phrase, or undefined. */
export function depthFault(text: string): string | undefined {
  if (text.length <= 2 * MAX_DEPTH) {
    return undefined; // each level takes two characters
  }
  let deepest = 0;
  eachMark(text, (_mark, _at, depth) => {
    deepest = Math.max(deepest, depth);
  });
  return deepest > MAX_DEPTH ? `it is nested deeper than ${MAX_DEPTH} levels` : undefined;
}

/** The members of the outermost object as written; the last of equal keys wins. */
export function rawMembers(text: string): ReadonlyMap<string, string> {
  const members = new Map<string, string>();
  let key: string | undefined;
  let begin = 0;
  eachMark(text, (mark, at, depth) => {
    if (depth !== 1) {
      return;
    }
    if (mark === COLON) {
      key = JSON.parse(text.slice(begin, at)) as string;
    } else if (key !== undefined && (mark === COMMA || mark === CLOSE_BRACE)) {
      members.set(key, text.slice(begin, at).trim());
      key = undefined;
    }
    begin = at + 1;
  });
  return members;
}

/**
 * Visits the structural characters of a JSON text: brackets, braces, colons and commas outside strings.
 *
 * @param visit gets the depth of what a bracket opens or closes, or of what a colon or comma is in
 */
function eachMark(text: string, visit: (mark: number, at: number, depth: number) => void): void {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    switch (code) {
      case QUOTE:
        at = endOfString(text, at);
        break;
      case OPEN_BRACKET:
      case OPEN_BRACE:
        depth += 1;
        visit(code, at, depth);
        break;
      case CLOSE_BRACKET:
      case CLOSE_BRACE:
        visit(code, at, depth);
        depth -= 1;
        break;
      case COLON:
      case COMMA:
        visit(code, at, depth);
        break;
    }
  }
}

/** Position of the quote that closes a string. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text.charCodeAt(at) !== QUOTE) {
    at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
  }
  return at;
}

/** Like `JSON.stringify`, for values so deep that it would overflow the stack. */
export function stringifyDeep(value: unknown): string {
  const written: string[] = [];
  const pending: (Written | Unwritten)[] = [{ value }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if ('text' in next) {
      written.push(next.text);
    } else if (typeof next.value === 'object' && next.value !== null) {
      for (const part of partsOf(next.value).reverse()) {
        pending.push(part);
      }
    } else {
      written.push(JSON.stringify(next.value) ?? 'null');
    }
  }
  return written.join('');
}

interface Written {
  readonly text: string;
}

interface Unwritten {
  readonly value: unknown;
}

function partsOf(value: object): (Written | Unwritten)[] {
  if (Array.isArray(value)) {
    const items = value.flatMap((item: unknown, index) => [{ text: index === 0 ? '' : ',' }, { value: item }]);
    return [{ text: '[' }, ...items, { text: ']' }];
  }
  const members = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .flatMap(([key, item], index) => [{ text: `${index === 0 ? '' : ','}${JSON.stringify(key)}:` }, { value: item }]);
  return [{ text: '{' }, ...members, { text: '}' }];
}
