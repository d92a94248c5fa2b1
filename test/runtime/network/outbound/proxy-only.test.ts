// @module-tag any-user
import { expect, test, vi } from "vitest";
import { readLine, startOutboundVm, startOutside } from "../../../support/outside.ts";

vi.mock("../../../../src/runtime/sandbox/kernel/network/interception-support.ts", () => ({
  interceptionSupport: async () => ({ way: undefined, description: "a kernel without nf_tables and veth" }),
}));

test("without nf_tables and veth a program gets out by the proxy, and past it nowhere", async () => {
  const { port } = await startOutside();
  const { vm } = startOutboundVm(
    { outbound: { allow: ["api.test", `127.0.0.1:${port}`] } },
    { "api.test": ["127.0.0.1"] },
  );
  const url = `http://api.test:${port}/x`;
  expect(JSON.parse((await vm.exec(`curl -sS ${url}`)).stdout)).toMatchObject({ url: "/x" });
  expect((await vm.exec(`curl -sS --noproxy '*' ${url}`)).stderr).toContain("Could not resolve host");
  expect((await vm.exec(readLine("192.0.2.1", port))).stdout).toContain("Network is unreachable");
});
