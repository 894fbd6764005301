import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../cni/run.ts';
import { observed } from '../../node/observer.ts';
import { makeJournal } from './journal.ts';
import { type Observation, observeCalls } from './observation.ts';
import { CallRecord, factsOf, GONE, MOST_SPANS } from './record.ts';
import { Ring } from './ring.ts';
import { spansOf } from './spans.ts';

const DONE: Outcome = { stdout: '', stderr: '', exitCode: 0 };
const failed = (code: unknown): Outcome => ({ stdout: JSON.stringify({ code }), stderr: '', exitCode: 1 });

const ENV = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: 'c1',
  CNI_IFNAME: 'eth0',
  CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0',
};

const TUNING = { name: 'tuning', env: ENV };

const part = <T>({ observer }: Observation, name: string, work: () => Promise<T>): Promise<T> =>
  observed(observer, name, work);

/** Parts as paths. */
function pathsOf({ names, parents }: CallRecord): readonly string[] {
  const path = (index: number): string =>
    index < 0 ? '' : `${path(parents[index] as number)}/${names[index] as string}`;
  return names.map((_, index) => path(index)).sort();
}

describe('observeCalls', () => {
  it('knows which part of which call each step is in, when calls overlap', async () => {
    const observation = observeCalls();
    const network = (name: string, ms: number) => () =>
      part(observation, `${name} ADD`, async () => {
        await sleep(ms);
        observation.observer('netlink', 1);
        await part(observation, 'store', () => sleep(ms));
      });
    const call = (container: string, ms: number): Promise<Outcome> =>
      observation.call({ name: 'multus', env: { ...ENV, CNI_CONTAINERID: container } }, () =>
        part(observation, 'multus ADD', async () => {
          await Promise.all([network('macvlan', ms)(), network('ipvlan', 3 - ms)()]);
          return DONE;
        }),
      );
    await Promise.all([call('c1', 1), call('c2', 2)]);
    for (const container of ['c1', 'c2']) {
      const [record] = observation.ring.find(container);
      expect(record && pathsOf(record)).toEqual([
        '/multus ADD',
        '/multus ADD/ipvlan ADD',
        '/multus ADD/ipvlan ADD/netlink',
        '/multus ADD/ipvlan ADD/store',
        '/multus ADD/macvlan ADD',
        '/multus ADD/macvlan ADD/netlink',
        '/multus ADD/macvlan ADD/store',
      ]);
    }
    const text = observation.metrics.text();
    expect(text).toContain('braid_step_seconds_count{plugin="macvlan",verb="ADD",step="netlink"} 2');
    expect(text).toContain('braid_step_seconds_count{plugin="multus",verb="ADD",step="plugin"} 2');
    expect(text).toContain('braid_calls_total{plugin="multus",verb="ADD",code="0"} 2');
  });

  it.each([
    [failed(11), '11'],
    [failed('11'), '999'],
    [failed(-7), '999'],
    [{ stdout: 'none', stderr: '', exitCode: 1 } as const, '999'],
  ])('counts %o as code %s', async (outcome, code) => {
    const { call, metrics } = observeCalls();
    expect(await call(TUNING, async () => outcome)).toBe(outcome);
    expect(metrics.text()).toContain(`braid_calls_total{plugin="tuning",verb="ADD",code="${code}"} 1`);
  });

  it('counts callers that have gone, and passes on what was thrown', async () => {
    const { call, metrics, ring } = observeCalls();
    await expect(call(TUNING, () => Promise.reject(new Error('gone')))).rejects.toThrow('gone');
    expect(metrics.text()).toContain('code="gone"} 1');
    expect(ring.find('c1')[0]?.code).toBe(GONE);
  });

  it('does not let callers make series without end', async () => {
    const { call, metrics, observer } = observeCalls();
    for (let round = 0; round < 3000; round++) {
      await call(
        { name: 'tuning', env: { ...ENV, CNI_COMMAND: `VERB${round}`, CNI_CONTAINERID: `c${round}` } },
        async () => {
          await observer.within?.(`execute p${round} ADD`, async () => undefined);
          await observer.within?.(`step ${round}`, async () => undefined);
          return failed(100 + round);
        },
      );
    }
    const lines = metrics.text().split('\n');
    expect(lines.filter((line) => line.startsWith('braid_step_seconds_count')).length).toBeLessThan(1100);
    expect(lines.filter((line) => line.startsWith('braid_calls_total')).length).toBeLessThan(250);
    expect(lines.join()).not.toContain('VERB');
    expect(lines.join()).toContain('plugin="other"');
  });

  it('says when calls begin and end', async () => {
    const { call, onBusy } = observeCalls();
    const said: string[] = [];
    onBusy({ start: () => said.push('start'), stop: () => said.push('stop') });
    await Promise.all([call(TUNING, async () => DONE), call(TUNING, async () => DONE)]);
    await call(TUNING, async () => DONE);
    expect(said).toEqual(['start', 'stop', 'start', 'stop']);
  });
});

describe('CallRecord', () => {
  it('keeps so many parts, and counts the others', () => {
    const record = new CallRecord(factsOf('multus', ENV));
    for (let index = 0; index < MOST_SPANS + 5; index++) {
      record.add('netlink', -1, 0.1);
    }
    const inside = record.open('store', -1);
    record.add('netlink', inside, 1);
    record.close(inside, 1);
    expect([record.names.length, record.dropped]).toEqual([MOST_SPANS, 7]);
  });
});

describe('Ring', () => {
  const record = (container: string, parts = 0): CallRecord => {
    const one = new CallRecord(factsOf('macvlan', { ...ENV, CNI_CONTAINERID: container }));
    for (let index = 0; index < parts; index++) {
      one.add('netlink', -1, 1);
    }
    return one;
  };

  it('forgets the oldest calls', () => {
    const ring = new Ring();
    for (let index = 0; index < 5000; index++) {
      ring.add(record(`c${index}-`));
    }
    expect(ring.size).toBe(1000);
    expect(ring.find('c3999-')).toEqual([]);
    expect(ring.find('c4000-')).toHaveLength(1);
  });

  it('has fewer of them when they have many parts', () => {
    const ring = new Ring();
    for (let index = 0; index < 200; index++) {
      ring.add(record(`c${index}-`, MOST_SPANS));
    }
    expect(ring.size).toBe(60);
  });

  it.each([
    ['shop/web-0', 1],
    ['web-0', 1],
    ['c1', 1],
    ['eb-0', 0],
    ['', 0],
  ])('finds calls for "%s"', (of, count) => {
    const ring = new Ring();
    ring.add(record('c1'));
    expect(ring.find(of)).toHaveLength(count);
  });
});

describe('spansOf', () => {
  const parent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
  const record = new CallRecord(factsOf('macvlan', ENV));
  record.add('netlink', record.open('macvlan ADD', -1), 0);
  record.code = 7;

  it('are those of a trace that somebody wants to see', () => {
    const [whole, plugin, netlink, ...more] = spansOf(record, { TRACEPARENT: parent });
    expect(more).toEqual([]);
    expect(whole).toMatchObject({
      traceId: '1'.repeat(32),
      parentSpanId: '2'.repeat(16),
      name: 'call macvlan ADD',
      status: { code: 2, message: 'code 7' },
    });
    expect(plugin?.parentSpanId).toBe(whole?.spanId);
    expect(netlink?.parentSpanId).toBe(plugin?.spanId);
    expect(whole?.startTimeUnixNano).toBe(`${record.begun}000000`);
  });

  it('are none of others', () => {
    expect(spansOf(record, {})).toEqual([]);
    expect(spansOf(record, { TRACEPARENT: parent.replace(/01$/, '00') })).toEqual([]);
  });
});

describe('makeJournal', () => {
  it('writes one object a line, with a priority for journald, from a level on', () => {
    const lines: string[] = [];
    const now = (): Date => new Date(0);
    const journal = makeJournal({ level: 'warn', isJournald: true, write: (line) => lines.push(line), now });
    journal.line('info', 'not this');
    journal.line('warn', 'two\nlines', { code: 7 });
    expect(lines).toEqual(['<4>{"time":"1970-01-01T00:00:00.000Z","level":"warn","message":"two\\nlines","code":7}']);
    makeJournal({ level: 'none', isJournald: false, write: (line) => lines.push(line) }).line('error', 'no');
    expect(lines).toHaveLength(1);
  });
});
