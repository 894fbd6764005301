import { ApiError, type CollectionPath, type ListOptions, type ObjectPath, type Patch, type Resource } from './api.ts';

/** `/api/v1/namespaces/a/pods`; group '' is the core group. */
export function collectionPath({ resource: { group, version, plural }, namespace }: CollectionPath): string {
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  return namespace === undefined
    ? `${root}/${plural}`
    : `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}`;
}

/** An empty one would be another path: that of all objects. */
function segment(name: string): string {
  if (name === '' || name === '.' || name === '..') {
    throw new ApiError(`cannot ask for an object: "${name}" is no name`, {});
  }
  return encodeURIComponent(name);
}

/** @throws ApiError for a name that no object can have */
export function objectPath(path: ObjectPath): string {
  const own = `${collectionPath(path)}/${segment(path.name)}`;
  return path.subresource === undefined ? own : `${own}/${path.subresource}`;
}

/** A page of a list. */
export function pagePath(
  path: CollectionPath,
  { labelSelector, fieldSelector }: ListOptions,
  limit: number,
  next: string | undefined,
): string {
  const query = { limit: String(limit), labelSelector, fieldSelector, continue: next };
  return withQuery(collectionPath(path), query);
}

/** Changes of a list since a version. */
export function watchPath(
  path: CollectionPath,
  { labelSelector, fieldSelector }: ListOptions,
  resourceVersion: string,
  seconds: number,
): string {
  return withQuery(collectionPath(path), {
    watch: '1',
    allowWatchBookmarks: 'true',
    resourceVersion,
    timeoutSeconds: String(seconds),
    labelSelector,
    fieldSelector,
  });
}

/** The path of a patch: who applies is a part of the query. */
export const patchPath = (path: ObjectPath, patch: Patch): string =>
  patch.type === 'apply'
    ? withQuery(objectPath(path), {
        fieldManager: patch.fieldManager,
        force: patch.force === undefined ? undefined : String(patch.force),
      })
    : objectPath(path);

function withQuery(path: string, query: Readonly<Record<string, string | undefined>>): string {
  const set = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return `${path}?${new URLSearchParams(set)}`;
}

/** `ippools.whereabouts.cni.cncf.io`, `pods` */
export const resourceName = ({ group, plural }: Resource): string => (group === '' ? plural : `${plural}.${group}`);

/** For messages: `ippools "a" in "kube-system"`. */
export function textOf(path: CollectionPath & { readonly name?: string; readonly subresource?: string }): string {
  const what = [path.resource.plural, ...(path.subresource === undefined ? [] : [path.subresource])].join('/');
  const name = path.name === undefined ? '' : ` "${path.name}"`;
  return `${what}${name}${path.namespace === undefined ? '' : ` in "${path.namespace}"`}`;
}
