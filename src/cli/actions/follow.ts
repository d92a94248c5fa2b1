import { type AgentVmError, connectionLost } from "../../api/errors.ts";
import { RECONNECT_TIMEOUT_MS } from "../../api/limits.ts";
import { isTransient } from "../../client/link.ts";
import type { VmConnection } from "../../client/types.ts";
import { interrupted } from "../terminal/interrupts.ts";

/** A connection whose events a command prints. */
interface Followed {
  /** Waits for Ctrl-C, or until `over` settles. @throws AgentVmError why the connection has ended for good */
  untilInterrupted(over?: Promise<void>): Promise<void>;
  stop(): void;
}

/**
 * Follows a connection. It mends a broken line by itself, unless the server is away for RECONNECT_TIMEOUT_MS.
 *
 * @param onBreak called each time the line has broken
 */
export function followConnection(connection: VmConnection, onBreak: () => void): Followed {
  const { promise: failed, reject } = Promise.withResolvers<never>();
  failed.catch(() => undefined);
  let patience: ReturnType<typeof setTimeout> | undefined;
  const ends = [
    connection.onError((error: AgentVmError) => {
      if (!isTransient(error)) reject(error);
    }),
    connection.onClose(() => {
      onBreak();
      const lost = connectionLost(`The server was not reachable for ${RECONNECT_TIMEOUT_MS} ms`);
      patience = setTimeout(() => reject(lost), RECONNECT_TIMEOUT_MS);
    }),
    connection.onOpen(() => clearTimeout(patience)),
  ];
  return {
    async untilInterrupted(over = new Promise(() => undefined)) {
      await interrupted(Promise.race([failed, over]));
    },
    stop() {
      clearTimeout(patience);
      for (const end of ends) end();
    },
  };
}
