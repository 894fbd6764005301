/** What static does in another way than Go's: the rows of its README, under "Differences". */
import type { Difference, Tag } from '../../contract/difference.ts';
import { isExit, onlyGoFailed, onlyOursFailed } from '../../peers/deviations.ts';

export const DIFFERENCES = [
  {
    id: 'check-missing',
    ours: 'CHECK fails when `prevResult` has not got an address that is to be given',
    go: 'such an address is passed over',
    reason: 'CHECK is worth its call',
    covers: (deviation) =>
      isExit(deviation, 'CHECK') &&
      onlyOursFailed(deviation) &&
      /prevResult has no address/.test(deviation.ours.message),
  },
  {
    id: 'check-gateway',
    ours: 'CHECK takes an address that `prevResult` has twice, once with the gateway that is wanted',
    go: 'compares the first of them only',
    reason: 'the address is there as it was asked for',
    covers: (deviation) =>
      isExit(deviation, 'CHECK') && onlyGoFailed(deviation) && /Failed to match addr/.test(deviation.go.message),
  },
  {
    id: 'address-mapped',
    ours: 'an IPv4 address in IPv6 form (`::ffff:10.1.2.3/120`) is refused',
    go: 'becomes an IPv4 address whose prefix length (/120) the next plugin cannot read',
    reason: 'a typing error shows at once',
    covers: (deviation) =>
      isExit(deviation, 'ADD') &&
      onlyOursFailed(deviation) &&
      /"::ffff:[^"]+" is not an address/.test(deviation.ours.message),
  },
  {
    id: 'route-range',
    ours: "a route's negative or too large number is refused",
    go: 'echoed in the result',
    reason: 'a typing error shows at once',
    covers: (deviation) =>
      isExit(deviation, 'ADD') &&
      onlyOursFailed(deviation) &&
      /is not a whole number from 0 to/.test(deviation.ours.message),
  },
  {
    id: 'route-none',
    ours: 'a route without destination is refused',
    go: 'becomes a destination `<nil>` in the result, which nothing can read',
    reason: 'a typing error shows at once',
    covers: (deviation) =>
      isExit(deviation, 'ADD') &&
      onlyOursFailed(deviation) &&
      /"ipam\.routes|"routes\[\d+\]/.test(deviation.ours.message),
  },
  {
    id: 'status-conf',
    ours: 'STATUS reads the configuration',
    go: 'always succeeds',
    reason: 'what every ADD refuses is known before the first pod',
    covers: (deviation) => isExit(deviation, 'STATUS') && onlyOursFailed(deviation) && deviation.ours.code === 7,
  },
] as const satisfies readonly Difference[];

declare module 'vitest' {
  interface TestTags {
    readonly static: Tag<'static', typeof DIFFERENCES>;
  }
}
