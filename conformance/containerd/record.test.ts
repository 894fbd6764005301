/** What runtimes pass is what the fixtures say: unit tests of the plugins are based on them. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fixtureOf, type Recording, record } from './record.ts';
import { RUNTIMES } from './site.ts';

/** Names and types, and of texts whether they are empty: values change from pod to pod. */
function shapeOf(value: unknown): unknown {
  if (typeof value === 'string') {
    return value === '' ? 'empty' : 'text';
  }
  if (Array.isArray(value)) {
    return value.map(shapeOf);
  }
  return typeof value === 'object' && value !== null
    ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shapeOf(inner)]))
    : value;
}

const argumentsOf = (text = ''): readonly string[] =>
  text
    .replace(/=[^;]*/g, '')
    .split(';')
    .sort();

const shapesOf = ({ calls }: Recording) =>
  calls.map(({ env, stdin }) => ({
    verb: env['CNI_COMMAND'],
    args: argumentsOf(env['CNI_ARGS']),
    env: shapeOf(env),
    stdin: shapeOf(stdin),
  }));

describe.each(RUNTIMES)('$name', (programs) => {
  it('passes what it passed when the fixtures were recorded (conformance/containerd/record.ts)', async () => {
    const recorded = JSON.parse(readFileSync(fixtureOf(programs), 'utf8')) as Recording;
    expect(shapesOf(await record(programs))).toEqual(shapesOf(recorded));
  });
});
