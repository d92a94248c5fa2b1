/** The codec of values. In the package this module contains it: scripts/build.ts bundles it, because cbor-x installs a native part. */

export { decode, encode } from "cbor-x";
