import type { Kubelet } from './kubelet/folders.ts';
import { type OfferEnd, type Offering, offer } from './kubelet/offer.ts';
import { fullName } from './names.ts';
import type { Resource } from './resource.ts';

/** What is offered at the moment. */
export class Offers {
  private readonly kubelet: Kubelet;
  private readonly offering: Offering;
  private readonly going = new Map<
    Resource,
    { readonly stop: AbortController; readonly ended: Promise<OfferEnd>; readonly succeeded: Promise<void> }
  >();

  constructor(kubelet: Kubelet, offering: Offering) {
    this.kubelet = kubelet;
    this.offering = offering;
  }

  /** Resolves when another program has taken all of it, though it may have given some back since. */
  handedOver(): Promise<void> {
    return Promise.all([...this.going.values()].map((one) => one.succeeded)).then(() => undefined);
  }

  /** Begins with those that are new, and ends with those that are no longer there. */
  set(resources: readonly Resource[]): void {
    for (const [resource, { stop }] of this.going) {
      if (!resources.includes(resource)) {
        stop.abort(new Error('it is no longer offered'));
        this.going.delete(resource);
        this.offering.log(`${fullName(resource.name)}: no longer offered`);
      }
    }
    for (const resource of resources.filter((one) => !this.going.has(one))) {
      const stop = new AbortController();
      const signal = AbortSignal.any([stop.signal, this.offering.signal]);
      this.offering.log(`${fullName(resource.name)}: ${resource.devices.value.length} devices`);
      const { promise: succeeded, resolve } = Promise.withResolvers<void>();
      const ended = offer(resource, this.kubelet, { ...this.offering, signal, succeeded: resolve });
      this.going.set(resource, { stop, ended, succeeded });
    }
  }

  /** @returns whether another program offers some of it now */
  async ended(): Promise<boolean> {
    const ends = await Promise.all([...this.going.values()].map((one) => one.ended));
    return ends.includes('succeeded');
  }
}
