import type { Metrics } from '../observe/metrics.ts';
import type { FileState } from './configurations.ts';
import { fullName } from './names.ts';
import type { Resource } from './resource.ts';
import type { Held } from './source.ts';

/** What happens to a resource between this program and a kubelet. */
export interface OfferReport {
  /** a container has asked for devices */
  allocated(resource: string, isDone: boolean): void;
  /** the kubelet has been told of it */
  registered(resource: string, isTaken: boolean): void;
  /** @param count kubelets that follow it now */
  followed(resource: string, count: number): void;
}

export interface Report extends OfferReport {
  /** the node was looked at */
  looked(resources: readonly Resource[], held: Held, files: readonly FileState[]): void;
}

export const NO_REPORT: Report = {
  allocated: () => undefined,
  registered: () => undefined,
  followed: () => undefined,
  looked: () => undefined,
};

/** Counts in metrics. */
export function reportTo(metrics: Metrics): Report {
  const devices = metrics.gauge('braid_devices', 'Devices that the kubelet is told of, by their health.');
  const held = metrics.gauge('braid_devices_held', 'Devices that containers have.');
  const followed = metrics.gauge('braid_device_resource_followed', 'Whether a kubelet follows the list of devices.');
  const allocations = metrics.counter('braid_device_allocations_total', 'Requests of containers for devices.');
  const registrations = metrics.counter('braid_device_registrations_total', 'Times a kubelet was told of a resource.');
  const looks = metrics.counter('braid_device_looks_total', 'Times the node was looked at for devices.');
  const faulty = metrics.gauge('braid_device_configuration_faulty', 'Whether a configuration cannot be used.');
  const counts = new Map<string, number>();
  return {
    allocated: (resource, isDone) => allocations.add(1, { resource, outcome: isDone ? 'done' : 'failed' }),
    registered: (resource, isTaken) => registrations.add(1, { resource, outcome: isTaken ? 'taken' : 'refused' }),
    followed: (resource, count) => {
      counts.set(resource, count);
      followed.set(count > 0 ? 1 : 0, { resource });
    },
    looked: (resources, heldNow, files) => {
      looks.add(1);
      for (const gauge of [devices, held, followed, faulty]) {
        gauge.clear(); // of resources that are no more
      }
      for (const { name, devices: list } of resources) {
        const resource = fullName(name);
        const ill = list.value.filter(({ health }) => health === 'Unhealthy').length;
        devices.set(list.value.length - ill, { resource, health: 'healthy' });
        devices.set(ill, { resource, health: 'unhealthy' });
        held.set(heldNow.get(resource)?.size ?? 0, { resource });
        followed.set((counts.get(resource) ?? 0) > 0 ? 1 : 0, { resource });
      }
      for (const { file, isFaulty } of files) {
        faulty.set(isFaulty ? 1 : 0, { file });
      }
    },
  };
}
