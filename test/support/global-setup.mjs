/** Runs once before the tests that need servers: finds (or makes) the copy of the checkout that they can read. */
import { runtime } from './runtime.mjs';

export default function setup() {
  runtime();
}
