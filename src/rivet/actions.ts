/**
 * Removes the properties that a definition's actions inherit from Object.
 *
 * For RivetKit 2.2, which looks an action up with `in` and would run `constructor` for a client.
 */
export function ownActionsOnly(definition: { config: { actions?: object } }): void {
  Object.setPrototypeOf(definition.config.actions, null);
}

/**
 * Returns whether a client called the action, and not RivetKit's schedule.
 *
 * For RivetKit 2.2 and 2.3, whose context has a connection (`conn`) only if a client called.
 */
export function isClientCall(context: object): boolean {
  return "conn" in context;
}
