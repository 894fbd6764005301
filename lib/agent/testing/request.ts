/** Requests as launchers send them, and broken ones. */
export interface Wanted {
  readonly name: string;
  readonly env?: readonly string[];
  readonly stdin?: string;
  readonly hasDescriptor?: boolean;
  /** lengths to claim instead of the right ones */
  readonly words?: number;
  readonly stdinLength?: number;
}

export function requestBytes({ name, env = [], stdin = '', hasDescriptor = false, ...claimed }: Wanted): Buffer {
  const words = Buffer.from([name, ...env].map((word) => `${word}\0`).join(''));
  const input = Buffer.from(stdin);
  const header = Buffer.alloc(16);
  header.write('BRD1');
  header.writeUInt32LE(claimed.words ?? words.length, 4);
  header.writeUInt32LE(claimed.stdinLength ?? input.length, 8);
  header.writeUInt32LE(hasDescriptor ? 1 : 0, 12);
  return Buffer.concat([header, words, input]);
}
