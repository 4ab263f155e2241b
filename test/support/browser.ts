/** Headless Chromium, as Debian's package installs it. */
import { existsSync } from 'node:fs';

export const browserPath = ['/usr/bin/chromium', '/usr/bin/google-chrome', '/usr/bin/chromium-browser'].find(
  existsSync,
);

/** Nothing that calls home, and WebGPU on SwiftShader, which takes long to compile the zeroing of workgroup memory. */
export const browserFlags = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-dawn-features=disable_workgroup_init',
];
