import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runProgram } from "../support/program.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { type Block, blocksOf, documents, ROOT } from "./blocks.ts";

let server: ServerProcess;
beforeAll(async () => {
  server = await startServerProcess({ env: { AGENT_VM_RUNTIME: "kernel" } });
});
afterAll(() => server.stop("SIGTERM"));

const blocks = documents()
  .flatMap(blocksOf)
  .filter(({ runs }) => runs);

/** The block as a program against this test's server, in a VM of its own. */
function programOf({ place, code, continues }: Block): string {
  const program = code
    .replaceAll('"http://localhost:6420"', JSON.stringify(server.endpoint))
    .replaceAll('"my-agent"', JSON.stringify(place));
  return continues ? `${program}await client.dispose();\n` : program;
}

describe.concurrent("every ts block that is marked so runs", () => {
  test.each(blocks.map((block) => [block.place, block] as const))("%s", async (_place, block) => {
    const args = [
      "--conditions=agent-vm-source",
      "--input-type=module-typescript",
      "--eval",
      programOf(block),
    ];
    const { code, stdout, stderr } = await runProgram(args, { cwd: ROOT });
    expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
    if (block.output !== undefined) expect(stdout).toBe(`${block.output}\n`);
  });
});

test("there are such blocks", () => {
  expect(blocks.length).toBeGreaterThan(5);
});
