module imagecomposer.dev/test-tools/pause

go 1.24.0

tool imagecomposer.dev/test-tools/pause
