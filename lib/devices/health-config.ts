import { flag, integer, section } from '../cni/config.ts';
import type { HealthRules } from './health.ts';

/** Of a resource, in both configurations. */
export const HEALTH = section(
  {
    link: flag('A device is unhealthy while its card has no carrier.'),
    rdma: flag('A device is unhealthy while an RDMA port of it is not active.'),
    settleSeconds: integer('How long it must be well before it is healthy again.', { min: 0, fallback: 5 }),
  },
  'What makes devices unhealthy, but that they have gone.',
);

interface Conf {
  readonly link: boolean;
  readonly rdma: boolean;
  readonly settleSeconds: number;
}

export const rulesOf = ({ link, rdma, settleSeconds }: Conf = NOTHING): HealthRules => ({
  link,
  rdma,
  settleMs: settleSeconds * 1_000,
});

const NOTHING: Conf = { link: false, rdma: false, settleSeconds: 0 };
