import { globSync } from 'node:fs';
import { attributeOf, type BusDevice } from '../sys/bus-device.ts';

/**
 * Names of a bus device's RDMA devices in any namespace. `infiniband/` shows only those of the namespace that sysfs was
 * mounted in; the verbs character devices are shown everywhere, with the name of their RDMA device.
 *
 * @returns none if the module `ib_uverbs` is not loaded
 */
export function rdmaNamesAnywhere(device: BusDevice): readonly string[] {
  const files = globSync('infiniband_verbs/*/ibdev', { cwd: device.folder });
  return [...new Set(files.flatMap((path) => attributeOf(device, path) ?? []))].sort();
}

/** Modules that create RDMA devices, by network driver: they are loaded separately. */
const RDMA_MODULES: Readonly<Record<string, string>> = {
  mlx5_core: 'mlx5_ib',
  mlx4_core: 'mlx4_ib',
  ice: 'irdma',
  i40e: 'irdma',
  bnxt_en: 'bnxt_re',
  cxgb4: 'iw_cxgb4',
  qede: 'qedr',
  hns3: 'hns_roce_hw_v2',
  mana: 'mana_ib',
};

/** The RDMA module for a network driver; undefined if unknown. */
export const rdmaModuleOf = (driver: string): string | undefined => RDMA_MODULES[driver];
