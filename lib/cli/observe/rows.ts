/** The rows of a trace's picture: what was done for a pod, on one axis of time. */
import type { ToldCall } from '../../agent/observe/status.ts';

export interface Row {
  readonly name: string;
  readonly depth: number;
  /** milliseconds in all */
  readonly ms: number;
  /** when it was done, in milliseconds on the axis */
  readonly bars: readonly Bar[];
}

export interface Bar {
  readonly start: number;
  readonly end: number;
}

/** All calls of one verb for one container, in the order in which they came. */
export interface Work {
  readonly verb: string;
  readonly container: string;
  readonly pod: string;
  readonly calls: number;
  readonly begun: Date;
  /** from the first call to the end of the last */
  readonly ms: number;
  readonly rows: readonly Row[];
  /** parts that the agent has not kept */
  readonly dropped: number;
}

const VERBS = ['ADD', 'CHECK', 'DEL'];

/** @param calls of a pod, oldest first; the newest container counts */
export function worksOf(calls: readonly ToldCall[]): readonly Work[] {
  const container = calls.at(-1)?.facts.container;
  const own = calls.filter(({ facts }) => facts.container === container);
  return VERBS.flatMap((verb) => {
    const some = lastOf(own.filter(({ facts }) => facts.verb === verb));
    return some.length === 0 ? [] : [workOf(verb, some)];
  });
}

/** A call that was repeated counts once, as it was at last. */
function lastOf(calls: readonly ToldCall[]): readonly ToldCall[] {
  const last = new Map(calls.map((call) => [`${call.facts.plugin} ${call.facts.ifName}`, call]));
  return calls.filter((call) => last.get(`${call.facts.plugin} ${call.facts.ifName}`) === call);
}

function workOf(verb: string, calls: readonly ToldCall[]): Work {
  const begun = Math.min(...calls.map((call) => call.begun));
  const { facts } = calls[0] as ToldCall;
  return {
    verb,
    container: facts.container,
    pod: facts.pod,
    calls: calls.length,
    begun: new Date(begun),
    ms: Math.max(...calls.map((call) => call.begun - begun + call.ms)),
    rows: calls.flatMap((call) => rowsOf(call, call.begun - begun)),
    dropped: calls.reduce((count, { dropped }) => count + dropped, 0),
  };
}

function rowsOf(call: ToldCall, shift: number): readonly Row[] {
  const { facts, code, ms } = call;
  const ending = code === 0 ? '' : code < 0 ? ' (the caller has gone)' : ` (code ${code})`;
  const words = ['call', facts.plugin, facts.ifName].filter((word) => word !== '').join(' ');
  const whole = { name: `${words}${ending}`, depth: 0, ms, bars: [{ start: shift, end: shift + ms }] };
  return [whole, ...partsIn(call, -1, 1, shift)];
}

/** Parts without parts of their own that have the same name are one row. */
function partsIn(call: ToldCall, parent: number, depth: number, shift: number): readonly Row[] {
  const { names, parents } = call;
  const children = [...names.keys()].filter((part) => parents[part] === parent);
  const rows = new Map<string, Row & { readonly bars: Bar[] }>();
  const inside = new Map<string, readonly Row[]>();
  for (const part of children) {
    const name = names[part] as string;
    const [start, ms] = [(call.starts[part] ?? 0) + shift, call.lengths[part] ?? 0];
    const own = partsIn(call, part, depth + 1, shift);
    const key = own.length === 0 ? name : `${name} ${part}`;
    const known = rows.get(key);
    const bars = [...(known?.bars ?? []), { start, end: start + ms }];
    rows.set(key, { name, depth, ms: (known?.ms ?? 0) + ms, bars });
    inside.set(key, own);
  }
  return [...rows].flatMap(([key, row]) => [
    row.bars.length === 1 ? row : { ...row, name: `${row.name} × ${row.bars.length}` },
    ...(inside.get(key) ?? []),
  ]);
}
