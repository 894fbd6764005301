/** What people are told in one or a few lines, without a stack. */
export class Failure extends Error {
  override readonly name = 'Failure';
}
