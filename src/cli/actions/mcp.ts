import { serveStdio } from "../../adapters/mcp/index.ts";
import type { Cli } from "../cli.ts";
import { UsageError } from "../exit-codes.ts";
import { parseKey } from "../key.ts";

/** Serves MCP on stdin and stdout, for one VM or for all VMs that the token reaches. Resolves when the client has closed stdin. */
export async function mcp(cli: Cli, key: string | undefined, options: { cwd?: string }): Promise<void> {
  if (cli.out.json) throw new UsageError("The agent speaks MCP on stdout, which is JSON already");
  const { vm } = await cli.client();
  const served = key === undefined ? vm : vm.getOrCreate(parseKey(key));
  await serveStdio(served, { workingDirectory: options.cwd });
}
