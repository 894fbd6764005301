import type { EventRecorder, KubeEvent } from '../events.ts';

/** Keeps events instead of telling them. */
export function recordingEvents(): EventRecorder & { readonly events: readonly KubeEvent[] } {
  const events: KubeEvent[] = [];
  return {
    events,
    record: async (event) => {
      events.push(event);
    },
  };
}
