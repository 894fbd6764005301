import { describe, expect, it } from 'vitest';
import { makeMetrics } from '../observe/metrics.ts';
import { reportTo } from './report.ts';
import { device, NAME, resourceOf } from './testing/offered.ts';

const valuesIn = (text: string): readonly string[] => text.split('\n').filter((line) => /^braid_/.test(line));

describe('metrics of devices', () => {
  it('tell of resources as they are now', () => {
    const metrics = makeMetrics();
    const report = reportTo(metrics);
    const resource = resourceOf(['a', 'b', 'c']);
    resource.devices.value = [device('a'), device('b', 'Unhealthy'), device('c')];
    report.followed(NAME, 1);
    report.looked([resource], new Map([[NAME, new Set(['a'])]]), [{ file: '/f', isFaulty: true }]);
    expect(valuesIn(metrics.text())).toEqual([
      `braid_devices{resource="${NAME}",health="healthy"} 2`,
      `braid_devices{resource="${NAME}",health="unhealthy"} 1`,
      `braid_devices_held{resource="${NAME}"} 1`,
      `braid_device_resource_followed{resource="${NAME}"} 1`,
      'braid_device_looks_total 1',
      'braid_device_configuration_faulty{file="/f"} 1',
    ]);
    report.looked([], new Map(), [{ file: '/f', isFaulty: false }]);
    expect(valuesIn(metrics.text())).toEqual([
      'braid_device_looks_total 2',
      'braid_device_configuration_faulty{file="/f"} 0',
    ]);
  });

  it('count what happens to resources', () => {
    const metrics = makeMetrics();
    const report = reportTo(metrics);
    for (const is of [true, true, false]) {
      report.allocated(NAME, is);
      report.registered(NAME, is);
    }
    report.followed(NAME, 0);
    expect(valuesIn(metrics.text())).toEqual([
      `braid_device_resource_followed{resource="${NAME}"} 0`,
      `braid_device_allocations_total{resource="${NAME}",outcome="done"} 2`,
      `braid_device_allocations_total{resource="${NAME}",outcome="failed"} 1`,
      `braid_device_registrations_total{resource="${NAME}",outcome="taken"} 2`,
      `braid_device_registrations_total{resource="${NAME}",outcome="refused"} 1`,
    ]);
  });
});
