//! Tells the linker how to leave Node-API symbols to the process that loads the addon.

fn main() {
    if std::env::var_os("CARGO_FEATURE_NODE").is_some() {
        napi_build::setup();
    }
}
