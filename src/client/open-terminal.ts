import { invalidArgument } from "../api/errors.ts";
import type { ConnectTerminalOptions } from "../api/types.ts";
import { coreOf } from "./methods.ts";
import type { Terminal } from "./terminal.ts";
import type { VmConnection, VmHandle } from "./types.ts";

export type { Terminal };

/**
 * Opens a terminal in a VM, with all that a terminal program needs of it in one place. The connection under it stays
 * open until the shell has exited.
 *
 * @param vm a handle, or a connection whose socket the terminal then shares.
 * @example
 * ```ts
 * const shell = await terminal(agent, { onData: (data) => process.stdout.write(data), cols: 120, rows: 40 });
 * await shell.write("ls -la\n");
 * await shell.close();
 * ```
 */
export async function terminal(
  vm: VmHandle | VmConnection,
  options?: ConnectTerminalOptions,
): Promise<Terminal> {
  const core = coreOf(vm);
  if (!core) throw invalidArgument("vm", "a handle or connection of this client", vm);
  return await core.terminal(options);
}
