import { join } from 'node:path';
import { textOf } from './bus-folder.ts';
import type { DeviceFacts, KernelFacts } from './facts.ts';

/** What makes a device unhealthy, but that it has gone. */
export interface HealthRules {
  /** its card has no carrier */
  readonly link: boolean;
  /** an RDMA port of it is not active */
  readonly rdma: boolean;
  /** how long it must be well before it is healthy again */
  readonly settleMs: number;
}

/** The kernel tells nobody of RDMA ports. */
const RDMA_LOOK_MS = 500;

/**
 * Why a device is not well; undefined: it is, or nobody can tell, as of an interface that is in a pod.
 *
 * @param sysfs root of sysfs
 */
export function ailmentOf(
  facts: DeviceFacts,
  kernel: KernelFacts,
  rules: HealthRules,
  sysfs: string,
): string | undefined {
  return (rules.link ? linkAilment(facts, kernel) : undefined) ?? (rules.rdma ? rdmaAilment(facts, sysfs) : undefined);
}

/** A function needs its card to be up; an interface that is handed out itself is set up by whoever gets it. */
function linkAilment({ pfName, netdev }: DeviceFacts, { links }: KernelFacts): string | undefined {
  const name = pfName || netdev;
  const link = links.get(name);
  if (link === undefined || link.hasCarrier) {
    return undefined;
  }
  if (link.isUp) {
    return `link "${name}" has no carrier`;
  }
  return pfName === '' ? undefined : `link "${name}" is down`;
}

function rdmaAilment({ bus, id, rdmaDevices }: DeviceFacts, sysfs: string): string | undefined {
  for (const name of rdmaDevices) {
    // `4: ACTIVE`
    const state = textOf(join(sysfs, 'bus', bus, 'devices', id, 'infiniband', name, 'ports/1/state'));
    if (state !== '' && !state.startsWith('4')) {
      return `port 1 of RDMA device "${name}" is ${state.replace(/^\d+:\s*/, '')}`;
    }
  }
  return undefined;
}

interface Illness {
  readonly why: string;
  /** since when it has been well; undefined: it is not */
  readonly wellSince: number | undefined;
}

/** Who is ill: at once when something is wrong, and until it has been right for a while, as links flap. */
export class Health {
  private ill: ReadonlyMap<string, Illness> = new Map();

  /** Why devices are unhealthy, by ID. */
  get reasons(): ReadonlyMap<string, string> {
    return new Map([...this.ill].map(([id, { why }]) => [id, why]));
  }

  /**
   * @param ailments of all devices, by ID; undefined: it is well
   * @returns when to look again although nothing happens
   */
  update(ailments: ReadonlyMap<string, string | undefined>, rules: HealthRules, now: number): number {
    const next = [...ailments].flatMap(([id, ailment]): readonly [string, Illness][] => {
      const before = this.ill.get(id);
      if (ailment !== undefined) {
        return [[id, { why: ailment, wellSince: undefined }]];
      }
      const wellSince = before?.wellSince ?? now;
      return before === undefined || now - wellSince >= rules.settleMs ? [] : [[id, { why: before.why, wellSince }]];
    });
    this.ill = new Map(next);
    const healed = next.flatMap(([, { wellSince }]) =>
      wellSince === undefined ? [] : [wellSince + rules.settleMs - now],
    );
    return Math.min(rules.rdma ? RDMA_LOOK_MS : Number.POSITIVE_INFINITY, ...healed);
  }
}
