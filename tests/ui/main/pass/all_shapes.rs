//! All shapes of main. None is run: a worker would not end.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unused)]

use iii::App;

macro_rules! shapes {
    ($($name:ident { $($item:tt)* })*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::App;
            $($item)*
        }
    )*};
}

shapes! {
    takes_nothing {
        #[iii::main]
        pub(crate) async fn main() {}
    }
    plain {
        #[iii::main(worker_threads = 1)]
        pub(crate) fn main(app: &mut App) {
            let _ = app;
        }
    }
    result {
        #[iii::main(link(serde, iii))]
        pub(crate) async fn main(app: &mut App) -> iii::Result<()> {
            let _ = app;
            Ok(())
        }
    }
    boxed {
        /// With documentation.
        #[iii::main()]
        #[allow(clippy::unused_async)]
        pub(crate) async fn main(_: &mut App) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            Err("no")?
        }
    }
    endless {
        #[iii::main]
        pub(crate) async fn main(_app: &mut App) -> ! {
            std::process::exit(0)
        }
    }
}

fn main() {
    let shapes: [fn() -> std::process::ExitCode; 5] =
        [takes_nothing::main, plain::main, result::main, boxed::main, endless::main];
    let _ = shapes;
}
