import type { Scope } from '../cni/scope.ts';
import { jittered, repeat } from '../controller/repeat.ts';
import type { Env } from '../sys/execute.ts';
import { collectAll, removeLocks } from './collect.ts';
import { CRI_OPTION } from './cri.ts';
import { NODE_OPTIONS, type NodePlaces, placesIn } from './node.ts';
import { BIN_FOLDER } from './program.ts';
import { isDead, scanTwice, secondsIn, WAIT_OPTION } from './scan.ts';

interface CollectorOptions {
  /** between rounds, about */
  readonly everyMs: number;
  /** between the two scans of a round */
  readonly waitMs: number;
  readonly places: NodePlaces;
  /** socket of the container runtime; 'none', or '' for the default sockets */
  readonly cri: string;
  /** where plugins are */
  readonly path: readonly string[];
  /** for executed plugins */
  readonly env: Env;
}

/** of --collect */
const NEVER = '0';

export const COLLECTOR_OPTIONS = {
  ...NODE_OPTIONS,
  ...CRI_OPTION,
  ...WAIT_OPTION,
  bin: { type: 'string', default: BIN_FOLDER },
  collect: { type: 'string', default: NEVER },
} as const;

type Values = Readonly<Record<keyof typeof COLLECTOR_OPTIONS, string>>;

/**
 * What the options ask for.
 *
 * @returns collects until the signal of its scope fires, or does nothing
 * @throws WrongUsage
 */
export function collectorOf(values: Values, env: Env): (scope: Scope) => Promise<void> {
  const [everyMs, waitMs] = [secondsIn('collect', values.collect) * 1000, secondsIn('wait', values.wait) * 1000];
  const options = { everyMs, waitMs, places: placesIn(values), cri: values.cri, path: values.bin.split(':'), env };
  return (scope) => (everyMs === 0 ? Promise.resolve() : collectRounds(scope, options));
}

/**
 * What a runtime should ask for with GC, and containerd never does: collects dead containers, now and then, until the
 * scope's signal fires. A fault is logged when it is new.
 */
async function collectRounds(scope: Scope, options: CollectorOptions): Promise<void> {
  let known: ReadonlySet<string> = new Set();
  await repeat(scope, 'cannot collect dead containers', async () => {
    const faults = new Set(await collectOnce(scope, options));
    for (const fault of [...faults].filter((one) => !known.has(one))) {
      scope.log(fault);
    }
    known = faults;
    return jittered(options.everyMs);
  });
}

/** @returns what could not be read or taken back */
async function collectOnce(scope: Scope, options: CollectorOptions): Promise<readonly string[]> {
  const { places, path, env } = options;
  const { containers, node } = await scanTwice(scope, options, () => undefined);
  const dead = containers.filter(isDead);
  const failures = await collectAll({ scope, env, places, path }, dead);
  for (const { containerId, reason } of dead.filter((one) => !failures.has(one.containerId))) {
    scope.log(`collected container ${containerId}: ${reason}`);
  }
  await removeLocks(scope, node.confs);
  return [...node.faults, ...[...failures.values()].flat()];
}
