import { type AgentVmError, connectionLost } from "../api/errors.ts";
import { RECONNECT_TIMEOUT_MS } from "../api/limits.ts";
import { isTransient, type Link } from "./link.ts";

/**
 * Calls back when a link has ended for good: with the error that the link does not survive, when the link is closed, or when
 * it has stayed broken for RECONNECT_TIMEOUT_MS.
 *
 * @returns a function that stops that
 */
export function onLineEnd(link: Link, ended: (error: AgentVmError) => void): () => void {
  let patience: ReturnType<typeof setTimeout> | undefined;
  const calm = () => {
    clearTimeout(patience);
    patience = undefined;
  };
  const late = () => ended(connectionLost(`The server was not reachable for ${RECONNECT_TIMEOUT_MS} ms`));
  const ends = [
    link.down.add((error) => {
      if (isTransient(error)) patience ??= setTimeout(late, RECONNECT_TIMEOUT_MS);
      else ended(error);
    }),
    link.opened.add(calm),
    link.statusChanged.add((status) => {
      // An error that ends the link is emitted right after its status, and comes first.
      if (status === "idle") queueMicrotask(() => ended(connectionLost("The connection was closed")));
    }),
    calm,
  ];
  return () => {
    for (const end of ends) end();
  };
}
