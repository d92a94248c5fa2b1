// @module-tag any-user
import { expect, test } from "vitest";
import { checkOptions } from "../../src/runtime/check-options.ts";
import { createVm } from "../../src/runtime/create-vm.ts";
import { vmOptionsSchema } from "../../src/runtime/options.ts";
import { MemoryStore } from "../../src/runtime/store/store.ts";
import { VmDefinition } from "../../src/runtime/vm-definition.ts";
import { runProgram } from "../support/program.ts";

test("the VMs of a definition share a sandbox factory, agents and the root filesystem", async () => {
  const definition = new VmDefinition(vmOptionsSchema.parse({ runtime: "memory", rootFilesystem: "/a.tar" }));
  const shared = await definition.open();
  expect(await definition.open()).toBe(shared);
  expect(shared.factory).toBeDefined();
  expect(shared.agents.list().length).toBeGreaterThan(0);
  expect(shared.rootFilesystem).toBeDefined();
});

test("a closed definition has let go of what its VMs shared, and opens again with the next VM", async () => {
  let closed = 0;
  const sandboxFactory = {
    runtime: "test",
    capabilities: new Set<never>(),
    describe: () => Promise.resolve({ isolation: "", network: "none", visible: "" }),
    boot: () => Promise.reject(new Error("boots nothing")),
    enforced: () => Promise.reject(new Error("boots nothing")),
    close: async () => {
      closed += 1;
    },
  };
  const definition = new VmDefinition(vmOptionsSchema.parse({}), { sandboxFactory });
  await definition.close();
  expect(closed).toBe(0);
  const shared = await definition.open();
  await Promise.all([definition.close(), definition.close()]);
  expect(closed).toBe(1);
  expect(await definition.open()).not.toBe(shared);
  await definition.close();
  expect(closed).toBe(2);
});

test("a kernel sandbox factory removes its template when it is closed, and makes it again", async () => {
  const { factory } = await new VmDefinition(vmOptionsSchema.parse({})).open();
  const boot = async () => (await factory.boot(new AbortController().signal)).dispose();
  await boot();
  await factory.close?.();
  await boot();
  await factory.close?.();
});

test("`await using` ends a VM, and its store keeps the files", async () => {
  const store = new MemoryStore();
  let ended: string | undefined;
  const events = {
    emit: (name: string, payload: object) => {
      if (name === "vmShutdown") ended = (payload as { reason: string }).reason;
    },
  };
  {
    await using vm = await createVm({ runtime: "memory" }, events, store);
    await vm.writeFile("/workspace/file", "kept");
  }
  expect(ended).toBe("sleep");
  await using next = await createVm({ runtime: "memory" }, {}, store);
  expect(Buffer.from(await next.readFile("/workspace/file")).toString()).toBe("kept");
});

test("options are split into data and functions", () => {
  const onPermissionRequest = () => "once";
  const { options, handlers } = checkOptions({ env: { A: "1" }, onPermissionRequest });
  expect(options.env).toEqual({ A: "1" });
  expect(options).not.toHaveProperty("onPermissionRequest");
  expect(handlers).toEqual({ onPermissionRequest });
  expect(checkOptions({}).handlers).toEqual({});
  expect(() => checkOptions({ onPermissionRequest: "once" } as object)).toThrow(/onPermissionRequest/);
});

test("a registry is imported without the runtime", async () => {
  const script = `
    import { registerHooks } from "node:module";
    const loaded = [];
    registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
    const { vmActor } = await import("./src/index.ts");
    vmActor({ onPermissionRequest: () => undefined });
    const runtime = loaded.filter((url) => /src.runtime.(vm|vm-shared|boots?|sandbox.*factory)\\.ts$/.test(url));
    const isWatching = loaded.some((url) => url.endsWith("check-options.ts"));
    console.log(JSON.stringify({ isWatching, runtime }));
  `;
  const { stdout } = await runProgram(["--input-type=module", "--eval", script]);
  expect(JSON.parse(stdout)).toEqual({ isWatching: true, runtime: [] });
});
