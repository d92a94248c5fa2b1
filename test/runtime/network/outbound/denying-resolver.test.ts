// @module-tag any-user
import { expect, test } from "vitest";
import { MAX_DENIED_QUESTIONS } from "../../../../src/runtime/network/limits.ts";
import { startOutboundVm } from "../../../support/outside.ts";

/** Sends DNS questions for a name, and prints what becomes of them. */
const asking = (name: string, count: number) => `
  const socket = require("node:dgram").createSocket("udp4");
  const labels = "${name}".split(".").map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  const question = Buffer.concat([Buffer.from([0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]), ...labels, Buffer.from([0, 0, 1, 0, 1])]);
  // The kernel refuses a datagram to a port that nobody has.
  const refused = (error) => { if (error) { console.log(error.code); process.exit(); } };
  const ask = () => { for (let i = 0; i < ${count}; i++) socket.send(question, refused); };
  socket.connect(53, "127.0.0.1", ask);
  socket.on("message", (answer) => { if (${count} === 1) { console.log("code", answer[3] & 15); socket.close(); } });
  socket.on("error", refused);
  // The kernel drops what a busy server has not read.
  if (${count} > 1) setInterval(ask, 10);`;

test("without an outside network no name exists for Node's fetch, and the log shows which one it asked for", async () => {
  const { vm, denied } = startOutboundVm({});
  await expect
    .poll(async () => (await vm.execArgv("node", ["-e", asking("a.example", 1)])).stdout)
    .toBe("code 3\n");
  const program =
    "fetch('https://b.example').catch((error) => { console.error(error.cause.code); process.exit(1); })";
  const { stderr } = await vm.execArgv("node", ["-e", program]);
  expect(stderr).toBe(
    'ENOTFOUND\nagent-vm: the network policy denied b.example:53: the policy "none" allows no outside network\n',
  );
  expect(denied.map(({ host, port }) => `${host}:${port}`)).toContain("b.example:53");
});

test("a program that asks for names in a flood has no resolver any more", async () => {
  const { vm } = startOutboundVm({});
  await expect
    .poll(async () => (await vm.execArgv("node", ["-e", asking("a.example", 1)])).stdout)
    .toBe("code 3\n");
  const { stdout } = await vm.execArgv("node", ["-e", asking("a.example", MAX_DENIED_QUESTIONS)]);
  expect(stdout).toBe("ECONNREFUSED\n");
});

test("a program of the VM may serve at the port of DNS itself", async () => {
  const { vm } = startOutboundVm({});
  const program = `
    const socket = require("node:dgram").createSocket("udp4");
    socket.bind(53, "127.0.0.2", () => { console.log(socket.address().port); socket.close(); });`;
  expect((await vm.execArgv("node", ["-e", program])).stdout).toBe("53\n");
});

test("Node's fetch needs no proxy where connections are intercepted", async () => {
  const { vm } = startOutboundVm({ outbound: { allow: ["a.example"] } });
  const { stdout } = await vm.exec("echo $HTTP_PROXY.$NODE_USE_ENV_PROXY");
  expect(stdout).toMatch(/^http:.*\.$/m);
});
