import type { Env } from '../../sys/execute.ts';

/** What a call is, in words that tell no secret. */
export interface CallFacts {
  readonly plugin: string;
  readonly verb: string;
  readonly container: string;
  readonly ifName: string;
  /** `namespace/name`; empty when the caller did not say */
  readonly pod: string;
}

/** More parts of a call are counted and not kept. */
export const MOST_SPANS = 1000;
const LONGEST_WORD = 253;
const VERBS = ['ADD', 'DEL', 'CHECK', 'STATUS', 'GC', 'VERSION'];

/** No part: within the call itself. */
export const CALL = -1;
const DROPPED = -2;

/** The code of a call whose caller has gone. */
export const GONE = -1;

/** The parts of one call, in columns: a part takes some 30 bytes. */
export class CallRecord {
  readonly facts: CallFacts;
  /** milliseconds since 1970 */
  readonly begun = Date.now();
  /** by the monotonic clock */
  readonly start = performance.now();
  ms = 0;
  /** of the error; 0 for none, or GONE */
  code = 0;
  /** parts that were not kept */
  dropped = 0;
  readonly names: string[] = [];
  /** index of the part that it is in, or CALL */
  readonly parents: number[] = [];
  /** from the beginning of the call */
  readonly starts: number[] = [];
  readonly lengths: number[] = [];

  constructor(facts: CallFacts) {
    this.facts = facts;
  }

  /** @returns what `close` wants, and whatever is within */
  open(name: string, parent: number): number {
    if (this.names.length >= MOST_SPANS || parent === DROPPED) {
      this.dropped++;
      return DROPPED;
    }
    this.names.push(name);
    this.parents.push(parent);
    this.starts.push(performance.now() - this.start);
    this.lengths.push(0);
    return this.names.length - 1;
  }

  close(part: number, ms: number): void {
    if (part >= 0) {
      this.lengths[part] = ms;
    }
  }

  /** A part that is over. */
  add(name: string, parent: number, ms: number): void {
    const part = this.open(name, parent);
    if (part >= 0) {
      this.starts[part] = (this.starts[part] as number) - ms;
      this.close(part, ms);
    }
  }
}

/** Nothing that a caller says can make many different words of a few. */
export const verbOf = (text: string | undefined): string => (VERBS.includes(text ?? '') ? (text as string) : 'other');

export function factsOf(plugin: string, env: Env): CallFacts {
  const args = new Map((env['CNI_ARGS'] ?? '').split(';').map((pair) => cut(pair)));
  const [namespace, name] = [args.get('K8S_POD_NAMESPACE'), args.get('K8S_POD_NAME')];
  return {
    plugin,
    verb: verbOf(env['CNI_COMMAND']),
    container: word(env['CNI_CONTAINERID']),
    ifName: word(env['CNI_IFNAME']),
    pod: name === undefined || name === '' ? '' : word(`${namespace ?? ''}/${name}`),
  };
}

const word = (text = ''): string => text.slice(0, LONGEST_WORD);

function cut(pair: string): readonly [string, string] {
  const at = pair.indexOf('=');
  return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
}
