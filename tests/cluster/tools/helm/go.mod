module imagecomposer.dev/test-tools/helm

go 1.26.8
