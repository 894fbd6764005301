import type { CollectionPath, ObjectPath } from '../api.ts';

/** Objects of the core group that any cluster has. */
export const CONFIG_MAPS: CollectionPath = {
  resource: { group: '', version: 'v1', plural: 'configmaps' },
  namespace: 'default',
};

export const configMap = (name: string): ObjectPath => ({ ...CONFIG_MAPS, name });
