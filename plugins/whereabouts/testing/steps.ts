import type { JsonObject } from '../../../lib/cni/json.ts';
import { fakeScope } from '../../../lib/cni/testing/fake-scope.ts';
import { formatIp } from '../../../lib/net/ip.ts';
import type { Asked, Caller, Step } from '../engine.ts';
import { planRelease, planReservation, type Reservation } from '../plan.ts';
import { owner, rangesOf } from './fixtures.ts';

/** Its waits pass at once. */
export const CALLER: Caller = fakeScope({ sleep: async () => undefined });

/** As a configuration writes it. */
type Wanted = string | JsonObject;

interface StepOptions {
  readonly networkName?: string;
  readonly protectOverlaps?: boolean;
  readonly caller?: Caller;
  readonly more?: Partial<Reservation>;
}

/** A step that reserves, and what it was given the last time that it was planned. */
export function reserving(
  who: string,
  ranges: readonly Wanted[],
  { networkName = '', protectOverlaps = true, caller = CALLER, more = {} }: StepOptions = {},
) {
  const given: string[] = [];
  const request = { owner: owner(who), ranges: rangesOf(...ranges), protectOverlaps, ...more };
  const step: Step = {
    caller,
    networkName,
    asked: { ranges: namesOf(ranges), owners: [request.owner], protectOverlaps },
    isLook: false,
    isRelease: false,
    wish: { kind: 'reserve', reservation: request },
    plan: (pools) => {
      const { answer, changes } = planReservation(request, pools);
      given.splice(0, given.length, ...answer.map(formatIp));
      return changes;
    },
  };
  return { step, given };
}

export function releasing(
  who: string,
  ranges: Asked['ranges'] = 'held',
  { networkName = '', caller = CALLER }: StepOptions = {},
): Step {
  const { id, ifname } = owner(who);
  return {
    caller,
    networkName,
    asked: { ranges, owners: [{ id, ifname, podref: '' }], protectOverlaps: false },
    isLook: false,
    isRelease: true,
    wish: { kind: 'release', attachment: { id, ifname } },
    plan: (pools) => planRelease({ id, ifname }, pools).changes,
  };
}

const namesOf = (ranges: readonly Wanted[]): readonly string[] =>
  ranges.map((range) => String(typeof range === 'string' ? range : range['range']));
