/** An entry of an archive. Paths are relative, and folders of files need no entry of their own. */
export interface Entry {
  readonly path: string;
  readonly mode: number;
  /** undefined: a folder */
  readonly content?: Uint8Array;
  /** where it leads to: a symbolic link, whose content is empty */
  readonly link?: string;
}

const BLOCK = 512;
const NAME_BYTES = 100;
const OCTAL_SIZE = 11;
const TYPE = { file: '0', link: '2', folder: '5' } as const;

/** Where a header (POSIX.1-2001, ustar) has what. */
const AT = {
  name: 0,
  mode: 100,
  uid: 108,
  gid: 116,
  size: 124,
  time: 136,
  sum: 148,
  type: 156,
  link: 157,
  magic: 257,
} as const;

/**
 * An archive whose bytes depend on nothing but its entries: no times, no owners, paths in order.
 *
 * @throws Error for a path that is too long
 */
export function tarOf(entries: readonly Entry[]): Buffer {
  const all = [...new Map([...foldersOf(entries), ...entries].map((entry) => [entry.path, entry])).values()];
  const ordered = all.sort((a, b) => (a.path < b.path ? -1 : 1));
  const parts = ordered.flatMap((entry) => [headerOf(entry), ...padded(entry.content ?? new Uint8Array())]);
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

function foldersOf(entries: readonly Entry[]): readonly Entry[] {
  return entries.flatMap(({ path }) => {
    const names = path.split('/').slice(0, -1);
    return names.map((_, index) => ({ path: names.slice(0, index + 1).join('/'), mode: 0o755 }));
  });
}

function headerOf({ path, mode, content, link }: Entry): Buffer {
  const header = Buffer.alloc(BLOCK);
  const name = content === undefined ? `${path}/` : path;
  if (Buffer.byteLength(name) > NAME_BYTES) {
    throw new Error(`cannot archive "${path}": its path has more than ${NAME_BYTES} bytes`);
  }
  const size = content?.length ?? 0;
  header.write(name, AT.name);
  for (const [at, value, digits] of [
    [AT.mode, mode, 7],
    [AT.uid, 0, 7],
    [AT.gid, 0, 7],
    [AT.size, size, OCTAL_SIZE],
    [AT.time, 0, OCTAL_SIZE],
  ] as const) {
    header.write(value.toString(8).padStart(digits, '0'), at);
  }
  header.write(link !== undefined ? TYPE.link : content === undefined ? TYPE.folder : TYPE.file, AT.type);
  header.write(link ?? '', AT.link);
  header.write('ustar\x0000', AT.magic);
  header.write(' '.repeat(8), AT.sum);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, AT.sum);
  return header;
}

function padded(content: Uint8Array): readonly Uint8Array[] {
  const rest = content.length % BLOCK;
  return rest === 0 ? [content] : [content, Buffer.alloc(BLOCK - rest)];
}
