/**
 * Loads a compiled file of the product. The path is put together at run time, so that the tests can be type-checked
 * before anything was compiled.
 * @param {string} file below `dist/`, for example `config/load.js`
 * @returns {Promise<any>} its exports
 */
export function product(file) {
  return import(new URL(`../../dist/${file}`, import.meta.url).href);
}
