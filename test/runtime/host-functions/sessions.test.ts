import { expect, test } from "vitest";
import { z } from "zod";
import type { HostFunctionContext } from "../../../src/runtime/host-functions/types.ts";
import { ask, open, scriptedVm } from "../../support/scripted.ts";

test("an agent reads host functions in its instructions, and calls them under its session", async () => {
  const look = {
    description: "Says who asks",
    inputSchema: z.object({ city: z.string(), days: z.int().optional() }),
    execute: (_input: unknown, { session }: HostFunctionContext) => session,
  };
  const { vm } = scriptedVm({ hostFunctions: { self: { look } } });
  const id = await open(vm);
  const prompt = JSON.parse(await ask(vm, id, "prompt")) as string;
  expect(prompt).toContain("- `agentos-self look --city TEXT [--days NUMBER]`: Says who asks");
  const line = JSON.stringify({ command: "agentos-self", args: ["look", "--city", "Bonn"] });
  expect(await ask(vm, id, `terminal ${line}`)).toContain(JSON.stringify(`{"ok":true,"result":"${id}"}\n`));
  const bare = await open(vm, "", { skipOsInstructions: true });
  expect(JSON.parse(await ask(vm, bare, "prompt"))).toBe("prompt");
});
