import { attribute, FAILED, INTERNAL, SERVER, type Span } from '../../observe/otlp.ts';
import { readTraceParent, type TraceParent } from '../../observe/trace-parent.ts';
import type { Env } from '../../sys/execute.ts';
import { randomBytes } from '../../sys/random.ts';
import type { CallRecord } from './record.ts';

const ID_BYTES = 8;
const NANOSECONDS = 1_000_000;
const OK = {};

/** The spans of a call that belongs to a trace which somebody wants to see; else none. */
export function spansOf(call: CallRecord, env: Env): readonly Span[] {
  const parent = readTraceParent(env['TRACEPARENT']);
  return parent?.isSampled ? allSpans(call, parent, env['TRACESTATE'] ?? '') : [];
}

function allSpans(call: CallRecord, { traceId, spanId }: TraceParent, traceState: string): readonly Span[] {
  const { facts, names, parents, starts, lengths, code, ms } = call;
  const random = randomBytes(ID_BYTES * (names.length + 1));
  const id = (part: number): string => random.toString('hex', ID_BYTES * (part + 1), ID_BYTES * (part + 2));
  const shared = { traceId, ...(traceState === '' ? {} : { traceState }) };
  const time = (start: number): string => nanoseconds(call.begun, start);
  const whole: Span = {
    ...shared,
    spanId: id(-1),
    parentSpanId: spanId,
    name: `call ${facts.plugin} ${facts.verb}`,
    kind: SERVER,
    startTimeUnixNano: time(0),
    endTimeUnixNano: time(ms),
    attributes: attributesOf(call),
    status: code === 0 ? OK : { code: FAILED, message: `code ${code}` },
  };
  const parts = names.map(
    (name, part): Span => ({
      ...shared,
      spanId: id(part),
      parentSpanId: id(parents[part] ?? -1),
      name,
      kind: INTERNAL,
      startTimeUnixNano: time(starts[part] ?? 0),
      endTimeUnixNano: time((starts[part] ?? 0) + (lengths[part] ?? 0)),
      attributes: [],
      status: OK,
    }),
  );
  return [whole, ...parts];
}

function attributesOf({ facts, code, dropped }: CallRecord) {
  const [namespace = '', name = ''] = facts.pod.split('/');
  const texts = {
    'cni.plugin': facts.plugin,
    'cni.command': facts.verb,
    'container.id': facts.container,
    'network.interface.name': facts.ifName,
    'k8s.namespace.name': namespace,
    'k8s.pod.name': name,
  };
  return [
    ...Object.entries(texts).flatMap(([key, value]) => (value === '' ? [] : [attribute(key, value)])),
    attribute('cni.code', code),
    ...(dropped === 0 ? [] : [attribute('braid.parts_dropped', dropped)]),
  ];
}

/** More digits than a number has. */
const nanoseconds = (begun: number, ms: number): string =>
  String(BigInt(begun) * BigInt(NANOSECONDS) + BigInt(Math.round(ms * NANOSECONDS)));
