import { expect, test } from "vitest";
import { MemoryStore } from "../../../../src/runtime/store/store.ts";
import { makeCertificate } from "../../../support/certificate.ts";
import { listenOutside, startOutboundVm, startOutside } from "../../../support/outside.ts";

const BYTES = 300_000;
const large: Parameters<typeof startOutside>[0] = (request, response) => {
  request.resume().on("end", () => response.end(Buffer.alloc(BYTES, "x")));
};

test("bytesPerSecond slows connections down, plain and through TLS, and loses no byte", async () => {
  const tls = await makeCertificate("api.test");
  const [plain, secure] = [await startOutside(large), await startOutside(large, tls)];
  const allow = ["api.test", `127.0.0.1:${plain.port}`, `127.0.0.1:${secure.port}`];
  const { vm, curl } = startOutboundVm(
    { outbound: { allow }, limits: { bytesPerSecond: 200_000 } },
    { "api.test": ["127.0.0.1"] },
    { ca: tls.cert },
  );
  await vm.writeFile("/tmp/ca.pem", tls.cert);
  const size = "-o /tmp/got -w '%{size_download} %{time_total}'";
  for (const way of ["", "--noproxy '*'"]) {
    const [bytes, seconds] = (await curl(`${size} ${way} http://api.test:${plain.port}/`)).text
      .split(" ")
      .map(Number);
    expect(bytes).toBe(BYTES);
    expect(seconds).toBeGreaterThan(1);
  }
  const secured = (await curl(`${size} --cacert /tmp/ca.pem https://api.test:${secure.port}/`)).text.split(
    " ",
  );
  expect(Number(secured[0])).toBe(BYTES);
  const { bytesIn, bytesOut } = await vm.usage();
  expect(bytesIn).toBeGreaterThan(3 * BYTES);
  expect(bytesOut).toBeGreaterThan(0);
});

test("a slow connection still gets the rest after its end, and a side may end first", async () => {
  const port = await listenOutside((socket) => {
    const pieces: Buffer[] = [];
    socket.on("data", (piece: Buffer) => pieces.push(piece));
    socket.on("end", () => socket.end(Buffer.concat(pieces)));
  });
  const { vm } = startOutboundVm({
    outbound: { allow: [`host.agent-vm:${port}`] },
    limits: { bytesPerSecond: 400_000 },
  });
  const program = `
    const data = Buffer.alloc(${BYTES}, "abc");
    const socket = net.connect({ port: ${port}, host: "host.agent-vm", allowHalfOpen: true }, () => socket.end(data));
    const got = []; socket.on("data", (piece) => got.push(piece));
    socket.on("end", () => console.log(Buffer.concat(got).equals(data) ? "same" : "other"));`;
  expect((await vm.execArgv("node", ["-e", program])).stdout).toBe("same\n");
});

test("totalBytes cuts the connections and denies others, also after the VM has slept", async () => {
  const { port } = await startOutside(large);
  const store = new MemoryStore();
  const network = { outbound: { allow: [`127.0.0.1:${port}`] }, limits: { totalBytes: 400_000 } };
  const one = startOutboundVm(network, {}, { store });
  const url = `--noproxy '' http://127.0.0.1:${port}/`;
  expect((await one.curl(`-o /tmp/a ${url}`)).exitCode).toBe(0);
  expect((await one.curl(`-o /tmp/b ${url}`)).exitCode).not.toBe(0);
  expect((await one.curl(url)).text.slice(0, 200)).toContain(
    "limit of bytes outside is used up (totalBytes = 400000)",
  );
  const codes = (await one.vm.getNetworkLog()).map(({ code }) => code);
  expect(codes.length).toBeGreaterThan(0);
  expect(new Set(codes)).toEqual(new Set(["limit_exceeded"]));
  await one.vm.dispose("sleep");
  const two = startOutboundVm(network, {}, { store });
  const { bytesIn, bytesOut } = await two.vm.usage();
  expect(bytesIn + bytesOut).toBeGreaterThan(400_000);
  expect((await two.curl(url)).text.slice(0, 200)).toContain("limit of bytes outside is used up");
});

test("connectionsPerMinute denies further connections with a code", async () => {
  const { port } = await startOutside();
  const { vm, curl } = startOutboundVm({
    outbound: { allow: [`127.0.0.1:${port}`] },
    limits: { connectionsPerMinute: 3 },
  });
  const url = `--noproxy '' http://127.0.0.1:${port}/`;
  for (let count = 0; count < 3; count++) expect((await curl(url)).exitCode).toBe(0);
  expect((await curl(url)).text).toContain("connectionsPerMinute = 3");
  expect((await vm.getNetworkLog()).map(({ code }) => code)).toEqual(["limit_exceeded"]);
});
