import { X509Certificate } from "node:crypto";
import { type AddressInfo, connect as connectTcp, createServer } from "node:net";
import { connect, TLSSocket } from "node:tls";
import { expect, onTestFinished, test } from "vitest";
import { VmAuthority } from "../../../../../src/runtime/network/outbound/authority/authority.ts";
import { toPem } from "../../../../../src/runtime/network/outbound/authority/certificate.ts";

/** Shakes hands with a server of the authority. @returns the certificate that a client accepts, and its issuer */
async function shakeHands(authority: VmAuthority, shown: string, wanted = shown) {
  const server = createServer((socket) => {
    const secure = new TLSSocket(socket, { isServer: true, secureContext: authority.contextOf(shown) });
    secure.on("error", () => secure.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const socket = connectTcp((server.address() as AddressInfo).port, "127.0.0.1");
  const client = connect({ socket, host: wanted, ca: toPem(authority.certificate) });
  onTestFinished(() => void client.destroy());
  await new Promise<void>((resolve, reject) => client.once("secureConnect", resolve).once("error", reject));
  return client.getPeerX509Certificate() as X509Certificate;
}

test("an authority signs certificates for names and addresses, which a client accepts for these only", async () => {
  const authority = await VmAuthority.make();
  for (const host of ["api.test", "192.0.2.7", "fd00::12:1", `${"a".repeat(60)}.${"b".repeat(60)}.test`]) {
    const certificate = await shakeHands(authority, host);
    expect(certificate.checkIssued(new X509Certificate(authority.certificate))).toBe(true);
    expect(certificate.ca).toBe(false);
  }
  await expect(shakeHands(authority, "api.test", "other.test")).rejects.toThrow(/altnames/);
  expect(authority.contextOf("api.test")).toBe(authority.contextOf("api.test"));
});

test("a client that trusts one VM's authority refuses another's, although both have one name", async () => {
  const [one, other] = [await VmAuthority.make(), await VmAuthority.make()];
  const mixed = { certificate: one.certificate, contextOf: (host: string) => other.contextOf(host) };
  await expect(shakeHands(mixed as VmAuthority, "api.test")).rejects.toThrow();
  const { ca, subject, keyUsage } = new X509Certificate(one.certificate);
  expect([ca, subject, keyUsage]).toEqual([true, "CN=agent-vm authority of one VM", undefined]);
});
