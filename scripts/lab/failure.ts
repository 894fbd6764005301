/** An error for people: one or a few lines, without a stack. */
export class Failure extends Error {
  override readonly name = 'Failure';
}
