import { invalidArgument } from "../api/errors.ts";
import { ConnectionCore } from "./connection.ts";
import { HandleCore } from "./handle.ts";
import type { Methods } from "./methods.ts";
import type { AttachTerminalOptions, Terminal, TerminalOptions } from "./terminal.ts";
import type { VmConnection, VmHandle } from "./types.ts";

export type { AttachTerminalOptions, Terminal, TerminalOptions };

/**
 * Opens a shell on a terminal in a VM, or with `shellId` takes up a shell that is open, beginning with its scrollback. The
 * terminal keeps its connection open until the shell has exited or `detach`.
 *
 * @param vm a handle, or a connection whose socket the terminal shares
 * @param options program, environment, working directory, size and `onData`. @default an interactive bash of 80 x 24
 * @throws AgentVmError `limit_exceeded` when 64 shells are open; `ENOENT` when the working directory is missing;
 * `shell_not_found`
 * @example
 * ```ts
 * const shell = await terminal(agent, { onData: (data) => process.stdout.write(data), cols: 120, rows: 40 });
 * await shell.write("ls -la\n");
 * await shell.close();
 * ```
 */
export async function terminal(vm: VmHandle | VmConnection, options?: TerminalOptions): Promise<Terminal> {
  const core: unknown = vm;
  if (!(core instanceof HandleCore || core instanceof ConnectionCore))
    throw invalidArgument("vm", "a handle or connection of this client", vm);
  return await (vm as unknown as Methods).terminal(options);
}
