/** What is used of js-yaml: a bundle that imports the package itself has all of it. */
export { FAILSAFE_SCHEMA, load, loadAll, nullCoreTag, YAMLException } from 'js-yaml';
