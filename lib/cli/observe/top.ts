import type { Status } from '../../agent/observe/status.ts';
import type { Scope } from '../../cni/scope.ts';
import { clockOf } from '../../sys/clock.ts';
import { readOptions, WrongUsage } from '../options.ts';
import type { Program } from '../program.ts';
import { askAgent, STATUS_SOCKET } from './ask-agent.ts';
import { busynessOf } from './busyness.ts';
import { hasScreen, Screen } from './screen.ts';
import { topPicture } from './top-picture.ts';

const INTERVAL_S = '1';

/** `braid top` */
export async function top(
  program: Program,
  args: readonly string[],
  _scope: Scope,
  print: (line: string) => void,
): Promise<number> {
  const { values } = readOptions(args, {
    status: { type: 'string', default: STATUS_SOCKET },
    interval: { type: 'string', default: INTERVAL_S },
    once: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  });
  const ms = intervalIn(values.interval);
  const look = (): Promise<Status> => askAgent<Status>(values.status, '/status');
  if (values.json) {
    print(JSON.stringify(busynessOf(await look())));
  } else if (values.once || !hasScreen()) {
    topPicture(busynessOf(await look())).map(print);
  } else {
    await follow(look, ms, program.stopSignal());
  }
  return 0;
}

function intervalIn(text: string): number {
  const seconds = Number(text);
  if (!(seconds >= 0.1 && seconds <= 3600)) {
    throw new WrongUsage(`"${text}" is no interval: write seconds, 0.1 to 3600`);
  }
  return seconds * 1000;
}

/** Until a key or a signal. An agent that is replaced is waited for. */
async function follow(look: () => Promise<Status>, ms: number, stop: AbortSignal): Promise<void> {
  let last = await look();
  const key = new AbortController();
  const signal = AbortSignal.any([stop, key.signal]);
  const { sleep } = clockOf(signal);
  using screen = new Screen(() => key.abort());
  const show = (lines: readonly string[]): void => screen.show([...lines, '', 'q ends']);
  show(topPicture(busynessOf(last)));
  while (!signal.aborted) {
    await sleep(ms).catch(() => undefined);
    const next = signal.aborted ? undefined : await look().catch(() => undefined);
    show(next === undefined ? ['the agent does not answer'] : topPicture(busynessOf(next, last)));
    last = next ?? last;
  }
}
