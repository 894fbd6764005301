import type { ControllerPart } from '../../lib/controller/part.ts';
import { secondsIn } from './controller/options.ts';

/** What whereabouts does for a whole cluster. The modules are loaded when a part runs. */
export const controllerParts: readonly ControllerPart[] = [
  {
    name: 'reconciler',
    about: 'free addresses that nobody uses, and repair reservations, at the start and as scheduled',
    options: [
      { name: 'interval', value: 'SECONDS', about: 'time between rounds of the reconciler (default: the schedule)' },
      {
        name: 'cron-file',
        value: 'FILE',
        about: 'schedule of the reconciler, five fields (default /cron-schedule/config)',
      },
      { name: 'grace', value: 'SECONDS', about: 'age at which a pod must have said what it has (default 300)' },
      { name: 'free-ended', about: 'also free the addresses of pods that have ended but are not deleted' },
    ],
    check: (options) => {
      secondsIn(options, 'interval');
      secondsIn(options, 'grace');
    },
    run: async (host) => (await import('./controller/reconciler.ts')).reconcile(host),
  },
  {
    name: 'pods',
    about: 'free the addresses of deleted pods soon after they have gone',
    run: async (host) => (await import('./controller/pods.ts')).followPods(host),
  },
  {
    name: 'slices',
    about: 'give each node its slice of ranges that have "node_slice_size"',
    run: async (host) => (await import('./controller/slices.ts')).assignSlices(host),
  },
];
